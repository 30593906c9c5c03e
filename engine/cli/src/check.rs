//! `sidetone check`: says whether the server would start, and with what.

use std::{error::Error, path::Path};

use sidetone_server::Config;

pub(crate) fn run(config: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let config = Config::load(config)?;
    sidetone_server::check(&config)?;
    anstream::print!("{}", config.effective_toml());
    Ok(())
}
