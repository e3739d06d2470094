-- When the person proved to read the mails to users.email; NULL is never.
ALTER TABLE users ADD COLUMN email_verified_at BIGINT;

-- A ticket is 32 random bytes in a link; hash is its SHA-256, and the ticket itself is stored nowhere. binding is the SHA-256 of the
-- password hash at the time of issue, so that a new password ends the ticket. email is the address that the link was sent to, NULL
-- where an admin made it. user_id is no foreign key: a ticket of a user who is gone finds no user.
CREATE TABLE tickets (
    hash TEXT NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    user_id TEXT NOT NULL,
    email TEXT,
    binding TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_of_user ON tickets (user_id);
CREATE INDEX tickets_over ON tickets (expires_at);

-- Mails to be sent. id is a UUIDv7, so it tells when the mail was asked for. user_id is '' where the worker looks the user up.
-- attempts counts the claims; a claim moves next_at to the time of the next try, and only a mail that was sent takes its row along.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    email TEXT NOT NULL,
    user_id TEXT NOT NULL,
    next_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    UNIQUE (kind, email, user_id)
);
CREATE INDEX outbox_due ON outbox (next_at, id);

-- When the last three mails of one kind went to one mailbox; `mailbox` is a digest of both. A fourth within an hour is not sent.
CREATE TABLE mailboxes (
    mailbox TEXT NOT NULL PRIMARY KEY,
    first_at BIGINT NOT NULL,
    second_at BIGINT NOT NULL,
    third_at BIGINT NOT NULL
);
CREATE INDEX mailboxes_over ON mailboxes (third_at);
