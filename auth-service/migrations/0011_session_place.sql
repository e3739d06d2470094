-- The store that the last start kept sessions in: 'the database', 'Redis', or '' before the first start. A command with other settings would end
-- sessions in the wrong one.
ALTER TABLE users_turn ADD COLUMN sessions_in TEXT NOT NULL DEFAULT '';
