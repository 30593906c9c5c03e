//! The console in Chromium, with fake microphones that hum: who uses the page, who hears whom, and what the page
//! says when something goes wrong. Python and Playwright drive the browser; `make test` fetches them.

mod browsers;
mod failures;
mod looks;
mod modes;
mod page;
mod phones;
mod quick;
mod signing_in;
mod takeover;
