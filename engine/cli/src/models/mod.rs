//! `sidetone models`: what there is, what is here, and how to get it.

mod fetch;
mod list;

use std::{error::Error, path::Path};

use clap::{Args, Subcommand};
use sidetone_models::{Manifest, Presence, demo};
use thiserror::Error;

use crate::in_full;

/// `sidetone models`.
#[derive(Args, Debug)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what can be fetched, and what is here.
    List(list::ListArgs),
    /// Fetch models into the models directory, and check them.
    ///
    /// What an interrupted fetch has left is taken up. A model that is here is checked, and
    /// fetched anew if it is damaged.
    Fetch(fetch::FetchArgs),
    /// Check models to the last bit: those named, or all that are here.
    Verify {
        /// Models, as `list` calls them.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Print the path of a model's file.
    Path {
        /// A model, as `list` calls it.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Remove models, and what an interrupted fetch has left of them.
    Remove {
        /// Models, as `list` calls them.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

/// Why a command about models failed.
#[derive(Debug, Error)]
enum ModelsError {
    #[error(
        "the model `{}` comes with the program: it has no file of its own",
        demo::NAME
    )]
    Bundled,
    #[error("{failed} of {all} failed")]
    Some { failed: usize, all: usize },
}

/// Runs the command.
///
/// # Errors
///
/// Says what could not be done; of several models, the rest was.
pub async fn run(args: ModelsArgs) -> Result<(), Box<dyn Error>> {
    match args.command {
        Command::List(args) => list::run(&args),
        Command::Fetch(args) => fetch::run(args).await,
        Command::Verify { names } => verify(&names),
        Command::Path { name } => path(&name),
        Command::Remove { names } => remove(&names),
    }
}

fn verify(names: &[String]) -> Result<(), Box<dyn Error>> {
    let dir = sidetone_models::models_dir()?;
    let all_here;
    let names = if names.is_empty() {
        all_here = here(&dir);
        if all_here.is_empty() {
            anstream::println!("no models in {}", dir.display());
        }
        &all_here
    } else {
        names
    };
    each(names, |name| {
        if name == demo::NAME {
            demo::load()?;
        } else {
            sidetone_models::verify_in(&dir, sidetone_models::entry(name)?)?;
        }
        anstream::println!("{name}: as published");
        Ok(())
    })
}

fn path(name: &str) -> Result<(), Box<dyn Error>> {
    not_bundled(name)?;
    let path = sidetone_models::path_of(name)?;
    anstream::println!("{}", path.display());
    Ok(())
}

fn remove(names: &[String]) -> Result<(), Box<dyn Error>> {
    let dir = sidetone_models::models_dir()?;
    each(names, |name| {
        not_bundled(name)?;
        match sidetone_models::remove_in(&dir, sidetone_models::entry(name)?)? {
            0 => anstream::println!("{name}: was not here"),
            bytes => anstream::println!("{name}: removed, {}", list::size(bytes)),
        }
        Ok(())
    })
}

/// Does it for each name. Of several it says at once of each what went wrong, and goes on.
fn each(
    names: &[String],
    mut work: impl FnMut(&str) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    if let [name] = names {
        return work(name);
    }
    let mut failed = 0;
    for name in names {
        if let Err(error) = work(name) {
            failed += 1;
            say(&*error);
        }
    }
    tally(failed, names.len())
}

fn tally(failed: usize, all: usize) -> Result<(), Box<dyn Error>> {
    if failed == 0 {
        Ok(())
    } else {
        Err(ModelsError::Some { failed, all }.into())
    }
}

fn say(error: &dyn Error) {
    anstream::eprintln!("error: {}", in_full(error));
}

fn not_bundled(name: &str) -> Result<(), ModelsError> {
    if name == demo::NAME {
        Err(ModelsError::Bundled)
    } else {
        Ok(())
    }
}

/// The names of the models whose files are in `dir`.
fn here(dir: &Path) -> Vec<String> {
    let entries = Manifest::embedded().entries().iter();
    let here = entries.filter(|entry| {
        let presence = sidetone_models::presence_in(dir, entry);
        matches!(presence, Presence::Here | Presence::Damaged)
    });
    here.map(|entry| entry.name_here().to_owned()).collect()
}
