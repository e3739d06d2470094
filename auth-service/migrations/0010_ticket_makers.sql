-- The admin who made the link of a ticket; NULL where a mail or the command line did. The ticket ends with the admin's sessions or role.
ALTER TABLE tickets ADD COLUMN made_by TEXT;
CREATE INDEX tickets_of_maker ON tickets (made_by);
