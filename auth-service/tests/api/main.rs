//! Tests of the service from outside, and of its domain where a client cannot observe it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod answer;
mod arrival;
mod authorization;
mod bodies;
mod busy;
mod caller;
mod cli;
mod cookies;
mod database;
mod devices;
mod dismissals;
mod endings;
mod enumeration;
mod forge;
mod keys;
mod limits;
mod login;
mod logout;
mod mail;
mod me;
mod oauth;
mod outages;
mod passwords;
mod program;
mod redis_server;
mod refresh;
mod register;
mod requests;
mod revocations;
mod secrets;
mod service;
mod session_model;
mod session_store;
mod settings;
mod users;
mod users_admin;
mod wire;
