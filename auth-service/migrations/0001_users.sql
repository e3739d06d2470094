-- The people. Names and emails are folded to lower case before they come here, so plain UNIQUE is case-insensitive, and
-- two people without an email do not collide. Roles are text that the program checks when it reads: a role from a newer
-- version must not become another one silently. Times are milliseconds since 1970, flags 0 or 1: the same type in
-- every database.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    email TEXT UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    disabled BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);

-- "Is there another admin?" without a walk through everybody.
CREATE INDEX users_by_role ON users (role, disabled);

-- The costliest bcrypt hash of all, found without a walk either: a stored password ends with 60 characters, $2b$12$….
CREATE INDEX users_by_cost ON users (substr(password_hash, length(password_hash) - 55, 2));

-- One row. `seeded` is 1 once the demo people were added, so that a removed one stays away. Who could remove an admin updates it first, so such changes happen one after the other: under READ COMMITTED
-- two of them would otherwise each see the other's admin still there.
CREATE TABLE users_turn (
    id BIGINT PRIMARY KEY,
    turn BIGINT NOT NULL,
    seeded BIGINT NOT NULL
);
INSERT INTO users_turn (id, turn, seeded) VALUES (1, 0, 0);
