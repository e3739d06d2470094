-- The program writes emails in their one spelling within this migration: composed letters, the Unicode form of a domain
-- that was stored as Punycode. A later turn keeps other changes of users out until it is done.
UPDATE users_turn SET turn = turn + 1;
