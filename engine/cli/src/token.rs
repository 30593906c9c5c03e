//! `sidetone token`: who may use the API and the console.

use std::{error::Error, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use sidetone_server::{
    Config,
    auth::tokens,
    config::StoreConfig,
    store::{Role, Store, Token, UnixMs},
};

/// What `sidetone token` is told.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// The configuration of the server whose tokens these are: `store.url` says where they are kept.
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "SIDETONE_CONFIG",
        global = true
    )]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it. It is shown this once.
    Create {
        /// Whose it is, or for what; shown in lists and in the audit log.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What its bearer may do; each role may do what those before it may.
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleArg,
    },
    /// List the tokens, without what is secret of them.
    List,
    /// Revoke a token, and end its sessions, at once.
    Revoke {
        /// The token's id, as `list` shows it.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    /// Sees calls, reads and hears them.
    Viewer,
    /// Places calls, speaks in them, takes them over, ends them.
    Operator,
    /// Deletes calls and reads the audit log.
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Operator => Self::Operator,
            RoleArg::Admin => Self::Admin,
        }
    }
}

pub(crate) async fn run(args: TokenArgs) -> Result<(), Box<dyn Error>> {
    let config = Config::load_store(args.config.as_deref())?;
    if config.url == StoreConfig::NONE {
        return Err("`store.url` is \"none\": without a store there are no tokens".into());
    }
    let store = Store::open(&config.url).await?;
    let done = obey(&store, args.command).await;
    store.close().await;
    done
}

async fn obey(store: &Store, command: TokenCommand) -> Result<(), Box<dyn Error>> {
    match command {
        TokenCommand::Create { name, role } => {
            if name.trim().is_empty() || name.chars().count() > 100 {
                return Err("--name must be 1 to 100 characters".into());
            }
            let issued = tokens::create(store, &name, role.into()).await?;
            let Token { id, role, .. } = &issued.token;
            anstream::eprintln!(
                "{id}: the token of {name} ({}), shown this once:",
                role.as_str()
            );
            anstream::println!("{}", issued.expose());
        }
        TokenCommand::List => {
            for token in store.tokens().await? {
                anstream::println!("{}", line(&token, UnixMs::now()));
            }
        }
        TokenCommand::Revoke { id } => {
            if !store.revoke_token(&id).await? {
                return Err(
                    format!("no token {id} is in use; `sidetone token list` shows all").into(),
                );
            }
            anstream::eprintln!("{id} is revoked");
        }
    }
    Ok(())
}

fn line(token: &Token, now: UnixMs) -> String {
    let used = match (token.revoked_at, token.last_used_at) {
        (Some(at), _) => format!("revoked {}", ago(at, now)),
        (None, Some(at)) => format!("used {}", ago(at, now)),
        (None, None) => "never used".to_owned(),
    };
    let (id, role, name) = (&token.id, token.role.as_str(), &token.name);
    let made = ago(token.created_at, now);
    format!("{id}  {role:8}  made {made:16}  {used:24}  {name}")
}

/// How long ago, in the largest unit that fits.
fn ago(then: UnixMs, now: UnixMs) -> String {
    let minutes = now.0.saturating_sub(then.0).max(0) / 60_000;
    let (count, unit) = match minutes {
        0 => return "just now".to_owned(),
        1..60 => (minutes, "minute"),
        60..1_440 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{s} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let ago = |minutes: i64| ago(UnixMs(0), UnixMs(minutes * 60_000));
        for (minutes, text) in [
            (-5, "just now"),
            (0, "just now"),
            (1, "1 minute ago"),
            (59, "59 minutes ago"),
            (60, "1 hour ago"),
            (1_439, "23 hours ago"),
            (2_880, "2 days ago"),
        ] {
            assert_eq!(ago(minutes), text);
        }
    }
}
