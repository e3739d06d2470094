-- Each service owns one database, and cannot connect to the other's.
CREATE ROLE auth LOGIN PASSWORD 'auth';
CREATE DATABASE auth OWNER auth;
REVOKE CONNECT ON DATABASE auth FROM PUBLIC;

CREATE ROLE books LOGIN PASSWORD 'books';
CREATE DATABASE books OWNER books;
REVOKE CONNECT ON DATABASE books FROM PUBLIC;
