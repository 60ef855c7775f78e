//! Which settings there are.

/// One setting: a key of the configuration file, a flag, and an environment variable.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The key in a configuration file.
    pub(crate) key: &'static str,
    /// The environment variable.
    pub(crate) variable: &'static str,
    pub(crate) kind: Kind,
    /// Stands for the value in the help.
    pub(crate) value_name: &'static str,
    pub(crate) help: &'static str,
    /// The value when nobody gives one, in the form of a flag's.
    pub(crate) default: Option<&'static str>,
    pub(crate) shown: Shown,
    /// Whether the setting serves to find the worker's account and contract on a node.
    pub(crate) finds_worker: bool,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// Texts: a repeated flag, a list in a file, or separated by commas in the environment.
    List,
    /// A whole number.
    Number,
    /// `true` or `false`; the flag alone means `true`.
    Switch,
    /// Texts that are taken from the environment only, separated by commas.
    Secret,
}

/// How a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As it is.
    Whole,
    /// A URL of which only scheme, host and port are shown, because API keys stand in the rest.
    UrlOrigin,
    /// The name of a network as it is, and a URL as [`Shown::UrlOrigin`].
    Network,
    /// Not at all.
    Hidden,
}

impl Setting {
    /// The flag without its dashes.
    pub(crate) fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The flag's help.
    pub(crate) fn option_help(&self) -> String {
        let default = self.default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
        format!("{}{default} [env: {}]", self.help, self.variable)
    }

    /// A value of the environment as texts.
    pub(crate) fn split(&self, text: &str) -> Vec<String> {
        if !matches!(self.kind, Kind::List | Kind::Secret) {
            return vec![text.to_owned()];
        }
        text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
    }

    pub(crate) fn named(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}

const fn setting(key: &'static str, variable: &'static str, help: &'static str) -> Setting {
    Setting {
        key,
        variable,
        kind: Kind::Text,
        value_name: "VALUE",
        help,
        default: None,
        shown: Shown::Whole,
        finds_worker: false,
    }
}

impl Setting {
    const fn kind(self, kind: Kind, value_name: &'static str) -> Self {
        Self { kind, value_name, ..self }
    }

    const fn number(self, value_name: &'static str) -> Self {
        self.kind(Kind::Number, value_name)
    }

    const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn shown(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    const fn finds_worker(self) -> Self {
        Self { finds_worker: true, ..self }
    }
}

/// Every setting, in the order in which they are shown.
pub(crate) static SETTINGS: &[Setting] = &[
    setting(
        "network",
        "OUTLAYER_NETWORK",
        "The network: localnet, testnet or mainnet. It stands for rpc_url and chain_id where \
         these are not given",
    )
    .kind(Kind::Text, "NAME")
    .shown(Shown::Network)
    .finds_worker(),
    setting(
        "rpc_url",
        "OUTLAYER_RPC_URL",
        "URL of a NEAR node's JSON-RPC endpoint. With several, the first that is in order is \
         asked. May be given several times",
    )
    .kind(Kind::List, "URL")
    .shown(Shown::UrlOrigin)
    .finds_worker(),
    setting(
        "quorum",
        "OUTLAYER_QUORUM",
        "How many endpoints must give the same answer about blocks, requests and code: 2 notices \
         one that lies",
    )
    .number("N")
    .or("1")
    .finds_worker(),
    setting(
        "chain_id",
        "OUTLAYER_CHAIN_ID",
        "The name of the network that the endpoints must serve, such as mainnet",
    )
    .kind(Kind::Text, "NAME")
    .finds_worker(),
    setting("contract", "OUTLAYER_CONTRACT", "The account of the OutLayer contract")
        .kind(Kind::Text, "ACCOUNT")
        .finds_worker(),
    setting(
        "account",
        "OUTLAYER_WORKER_ACCOUNT",
        "The worker's account; without it, the one that the key files name",
    )
    .kind(Kind::Text, "ACCOUNT")
    .finds_worker(),
    setting(
        "key_file",
        "OUTLAYER_KEY_FILE",
        "A file with a key of the worker's account, as near-cli writes it, or a folder of them. \
         Only its owner may have access to a file. May be given several times",
    )
    .kind(Kind::List, "PATH")
    .finds_worker(),
    setting(
        "secret_key",
        "OUTLAYER_SECRET_KEY",
        "Keys of the worker's account where no file is wanted, separated by commas. Taken from \
         the environment only",
    )
    .kind(Kind::Secret, "KEY")
    .shown(Shown::Hidden)
    .finds_worker(),
    setting("concurrency", "OUTLAYER_CONCURRENCY", "The most executions at once")
        .number("N")
        .or("2"),
    setting(
        "in_flight",
        "OUTLAYER_IN_FLIGHT",
        "The most requests that are served at once, with those that wait for the chain",
    )
    .number("N")
    .or("4096"),
    setting(
        "poll_interval",
        "OUTLAYER_POLL_INTERVAL",
        "The most milliseconds between two questions for the newest block while there is work; \
         without work it is asked for once a block",
    )
    .number("MS")
    .or("500"),
    setting(
        "cache_dir",
        "OUTLAYER_CACHE_DIR",
        "Where code, and what it compiles to, is kept between runs; without it, in memory only",
    )
    .kind(Kind::Text, "FOLDER"),
    setting(
        "memory",
        "OUTLAYER_MEMORY",
        "MiB of this machine's memory that all executions together may take; one that does not \
         fit beside the others waits. Without it, half of the machine's memory",
    )
    .number("MIB"),
    setting(
        "engine",
        "OUTLAYER_ENGINE",
        "An engine of another version that is served too, as VERSION=PROGRAM: an `outlayer` of a \
         release that has it. May be repeated",
    )
    .kind(Kind::List, "VERSION=PROGRAM"),
    setting(
        "state_dir",
        "OUTLAYER_STATE_DIR",
        "Where requests are noted whose guest ended its process; without it, outlayer in \
         XDG_STATE_HOME or in ~/.local/state",
    )
    .kind(Kind::Text, "FOLDER"),
    setting(
        "submit_delay",
        "OUTLAYER_SUBMIT_DELAY",
        "Milliseconds between an execution and its submission: a standby worker lets others \
         answer first",
    )
    .number("MS")
    .or("0"),
    setting(
        "step_in_blocks",
        "OUTLAYER_STEP_IN_BLOCKS",
        "Blocks that each worker further down a request's order waits before it steps in",
    )
    .number("N")
    .or("4"),
    setting(
        "replica",
        "OUTLAYER_REPLICA",
        "Which of the processes that work for this account this is, and how many there are: with \
         2/3 it is the second of three. Each serves its part of the requests first, and the \
         others' when they do not",
    )
    .kind(Kind::Text, "N/M")
    .or("1/1"),
    setting(
        "compile_ahead",
        "OUTLAYER_COMPILE_AHEAD",
        "MiB of published and named code that are compiled in an hour before anybody asks for \
         them; 0 compiles none",
    )
    .number("MIB")
    .or("128"),
    setting(
        "optimistic",
        "OUTLAYER_OPTIMISTIC",
        "Look for requests in the newest block, which a reorg may still replace; with false, in \
         the newest final one",
    )
    .kind(Kind::Switch, "true|false")
    .or("true"),
    setting(
        "allow_private_urls",
        "OUTLAYER_ALLOW_PRIVATE_URLS",
        "Fetch code also from URLs inside this machine and its private networks",
    )
    .kind(Kind::Switch, "true|false")
    .or("false"),
    setting(
        "http_places",
        "OUTLAYER_HTTP_PLACES",
        "The most HTTP exchanges of guests at once; those that are one too many wait",
    )
    .number("N")
    .or("64"),
    setting(
        "http_roots",
        "OUTLAYER_HTTP_ROOTS",
        "A file with certificates in PEM of authorities that guests' exchanges trust besides \
         those of the system",
    )
    .kind(Kind::Text, "FILE"),
    setting(
        "http_loopback",
        "OUTLAYER_HTTP_LOOPBACK",
        "Let guests reach servers on this machine, and by http:// too: for development only",
    )
    .kind(Kind::Switch, "true|false")
    .or("false"),
    setting(
        "secrets_key_file",
        "OUTLAYER_SECRETS_KEY_FILE",
        "A file with a key that opens secrets, as `outlayer worker secrets-key` makes it: the one \
         that the worker's metadata publish first, then older ones. May be given several times",
    )
    .kind(Kind::List, "PATH"),
    setting(
        "secrets_one_endpoint",
        "OUTLAYER_SECRETS_ONE_ENDPOINT",
        "Open secrets on the word of one endpoint instead of two that agree: for development only",
    )
    .kind(Kind::Switch, "true|false")
    .or("false"),
    setting("tgas", "OUTLAYER_TGAS", "Tgas attached to a submission").number("TGAS").or("300"),
    setting(
        "shutdown_grace",
        "OUTLAYER_SHUTDOWN_GRACE",
        "Seconds that the requests in flight have to end when the worker is stopped",
    )
    .number("SECONDS")
    .or("10"),
    setting(
        "min_balance",
        "OUTLAYER_MIN_BALANCE",
        "Thousandths of a NEAR that the worker's account should have: with less, /ready and \
         `outlayer doctor` say so",
    )
    .number("MILLINEAR")
    .or("500"),
    setting(
        "listen",
        "OUTLAYER_LISTEN",
        "The address and port on which /metrics, /health and /ready are served, such as \
         127.0.0.1:9464; without it, they are not",
    )
    .kind(Kind::Text, "ADDRESS"),
    setting(
        "otlp_endpoint",
        "OUTLAYER_OTLP_ENDPOINT",
        "URL of an OpenTelemetry collector that takes traces by OTLP over gRPC, such as \
         http://127.0.0.1:4317; without it, none are sent",
    )
    .kind(Kind::Text, "URL")
    .shown(Shown::UrlOrigin),
    setting("log_format", "OUTLAYER_LOG_FORMAT", "The form of the log on stderr: text or json")
        .kind(Kind::Text, "FORMAT")
        .or("text"),
    setting(
        "log",
        "RUST_LOG",
        "What is logged: a level such as info, or levels by crate such as \
         info,outlayer_worker=debug",
    )
    .kind(Kind::Text, "FILTER")
    .or("info"),
];

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs, path::Path};

    use super::*;

    #[test]
    fn the_operators_page_has_every_setting_as_it_is() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
        let page = fs::read_to_string(path).unwrap();
        let rows: Vec<String> = SETTINGS.iter().map(row).collect();
        let table = rows.join("\n");
        assert!(page.contains(&table), "docs/operators.md should have\n{table}");
    }

    fn row(setting: &Setting) -> String {
        let code = |text: &str| format!("`{text}`");
        let default = setting.default.map(code).unwrap_or_default();
        let (key, flag) = match setting.kind {
            Kind::Secret => (String::new(), String::new()),
            _ => (code(setting.key), code(&format!("--{}", setting.flag()))),
        };
        format!("| {key} | {flag} | `{}` | {default} |", setting.variable)
    }

    #[test]
    fn no_two_settings_share_a_name() {
        let keys: HashSet<_> = SETTINGS.iter().map(|setting| setting.key).collect();
        let variables: HashSet<_> = SETTINGS.iter().map(|setting| setting.variable).collect();
        assert_eq!((keys.len(), variables.len()), (SETTINGS.len(), SETTINGS.len()));
    }
}
