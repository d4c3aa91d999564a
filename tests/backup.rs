//! A bench in a file, and the file onto a fresh box: through the built program, as a person would.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a test fails where the ground gives way under it, and makes its own files"
)]

#[path = "common/process.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod process;

use printstation::domain::order::{Choices, Intent, IntentKind, Origin, Standing};
use printstation::domain::{
    DocumentId, DocumentMeta, Order, OrderId, Page, PageRole, PageState, Proof, Record, Shipment,
    State, Timestamp,
};
use printstation::ledger::{DbCheck, Ledger, Query, Settings};
use process::World;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PASSPHRASE: &str = "four words in a row";
const NOW: Timestamp = Timestamp(1_790_000_000_000);
const LABEL: &[u8] = b"^XA^FDlabel^FS^XZ";
const SECRET: &str = "key-that-nobody-may-see";

fn page(index: u16, state: PageState) -> Page {
    Page {
        document: 0,
        index,
        role: PageRole::Label,
        printer: "label".into(),
        state,
        at: NOW,
        codes: Vec::new(),
    }
}

fn label_id() -> DocumentId {
    let digest = Sha256::digest(LABEL);
    DocumentId(digest.iter().map(|b| format!("{b:02x}")).collect())
}

fn order(number: &str, pages: Vec<Page>) -> Order {
    Order {
        id: OrderId::starshipit(&"main".into(), i64::from(number.as_bytes()[4])),
        seq: 7,
        number: number.to_owned(),
        reference: None,
        account: "main".into(),
        order_id: i64::from(number.as_bytes()[4]),
        sale: None,
        writebacks: Vec::new(),
        last_job: 0,
        recipient: Some("Ada Example".to_owned()),
        printer: "label".into(),
        standing: Standing::Resting,
        shipments: vec![Shipment {
            order_id: i64::from(number.as_bytes()[4]),
            carrier: "Example".to_owned(),
            tracking: vec![format!("TRACK{number}")],
            documents: vec![DocumentMeta {
                id: label_id(),
                len: u32::try_from(LABEL.len()).unwrap(),
                label_type: String::new(),
            }],
            stored: true,
            pages,
            superseded: false,
            untracked: false,
            origin: Origin::Here,
            ahead: false,
            unverified: false,
            price_cents: None,
            at: NOW,
        }],
        intent: None,
        fingerprint: String::new(),
        timings: None,
        deeds: Vec::new(),
        created: NOW,
        updated: NOW,
    }
}

/// Half printed, held and not read yet, being bought, and one that is closed.
fn orders() -> Vec<Order> {
    let half = order(
        "WEB-1",
        vec![
            page(0, PageState::Printed(Proof::Confirmed)),
            page(1, PageState::Todo),
        ],
    );
    let unread = order("WEB-2", Vec::new());
    let mut buying = order("WEB-3", Vec::new());
    buying.shipments.clear();
    buying.intent = Some(Intent {
        kind: IntentKind::Buy,
        order_id: buying.order_id,
        sends: 1,
        sent_at: NOW,
        with: Choices::default(),
        ahead: false,
    });
    let closed = order("WEB-4", vec![page(0, PageState::Printed(Proof::Accepted))]);
    vec![half, unread, buying, closed]
}

struct Box {
    dir: tempfile::TempDir,
}

impl Box {
    fn fresh() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn ledger(&self) -> Ledger {
        let settings = Settings::new(self.path("state/ledger"), DbCheck::InProcess);
        let (ledger, _) = Ledger::open(settings, NOW).unwrap();
        assert!(ledger.settle(std::time::Duration::from_secs(30)));
        ledger
    }

    /// A bench at work: its ledger stays open, as a running station's does.
    fn at_work(&self) -> Ledger {
        std::fs::create_dir_all(self.path("etc/credentials")).unwrap();
        let config = format!(
            "[station]\nname = \"b\"\nstate_dir = \"{}\"\n\
             [[starshipit.accounts]]\nname = \"main\"\napi_key = {{ credential = \"main\" }}\n\
             subscription_key = {{ credential = \"sub\" }}\n\
             [[printers]]\nname = \"label\"\nconnection = \"file:/tmp\"\n",
            self.path("state").display()
        );
        std::fs::write(self.path("etc/config.toml"), config).unwrap();
        std::fs::write(
            self.path("etc/site.toml"),
            "[scan]\ncommand_prefix = \"PSX.\"\n",
        )
        .unwrap();
        std::fs::write(self.path("etc/credentials/main"), SECRET).unwrap();
        let ledger = self.ledger();
        ledger.store_document(&label_id(), LABEL).unwrap();
        let records = orders().into_iter().map(|o| Record::Order(o.into()));
        ledger.commit(records.collect()).wait_blocking().unwrap();
        ledger
    }

    fn run(&self, arguments: &[&str], passphrase: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_printstation"))
            .args(arguments)
            .arg("--config")
            .arg(self.path("etc/config.toml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .env("PRINTSTATION_PASSPHRASE", passphrase)
            .output()
            .unwrap()
    }
}

#[track_caller]
fn fails(output: &Output, with: &str) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it succeeded");
    assert!(err.contains(with), "{err}");
}

#[track_caller]
fn works(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn backup_of(bench: &Box) -> PathBuf {
    let _working = bench.at_work();
    let file = bench.path("bench.psbackup");
    let said = works(&bench.run(&["backup", "-o", file.to_str().unwrap()], PASSPHRASE));
    assert!(
        said.contains("3 open order(s), 1 label document(s)"),
        "{said}"
    );
    file
}

#[test]
fn a_wrong_passphrase_or_a_damaged_file_puts_nothing_anywhere() {
    let file = backup_of(&Box::fresh());
    assert!(!file.exists(), "the old box is gone with its folder");
    let old = Box::fresh();
    let file = backup_of(&old);
    let new = Box::fresh();
    let name = file.to_str().unwrap();
    fails(
        &new.run(&["restore", name], "four words in a raw"),
        "passphrase is wrong",
    );
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    fails(&new.run(&["restore", name], PASSPHRASE), "damaged");
    std::fs::write(&file, b"PSNOTHING").unwrap();
    fails(
        &new.run(&["restore", name], PASSPHRASE),
        "no backup of a print station",
    );
    assert_eq!(std::fs::read_dir(new.dir.path()).unwrap().count(), 0);
}

#[test]
fn a_bench_that_is_there_is_not_written_over() {
    let old = Box::fresh();
    let file = backup_of(&old);
    fails(
        &old.run(&["restore", file.to_str().unwrap()], PASSPHRASE),
        "is there already",
    );
    // Not even a ledger without a configuration.
    std::fs::remove_file(old.path("etc/config.toml")).unwrap();
    fails(
        &old.run(&["restore", file.to_str().unwrap()], PASSPHRASE),
        "is there already",
    );
}

#[test]
fn a_short_passphrase_keeps_nothing() {
    let bench = Box::fresh();
    let _working = bench.at_work();
    let file = bench.path("x");
    let output = bench.run(&["backup", "-o", file.to_str().unwrap()], "secret");
    fails(&output, "at least 12 characters");
    assert!(!file.exists());
}

#[test]
fn the_file_shows_neither_a_key_nor_a_name() {
    let old = Box::fresh();
    let bytes = std::fs::read(backup_of(&old)).unwrap();
    for word in [SECRET, "Ada Example", "WEB-1", "command_prefix"] {
        assert!(
            !bytes.windows(word.len()).any(|w| w == word.as_bytes()),
            "{word}"
        );
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(old.path("bench.psbackup"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_open_orders_are_on_the_fresh_box_and_none_prints_unasked() {
    let old = Box::fresh();
    let file = backup_of(&old);
    let new = Box::fresh();
    let said = works(&new.run(&["restore", file.to_str().unwrap()], PASSPHRASE));
    assert!(said.contains("3 open order(s)"), "{said}");

    let ledger = new.ledger();
    let by_number = |number: &str| -> Option<Order> {
        let all = ledger.query(&Query {
            limit: 100,
            ..Query::default()
        });
        all.into_iter().find(|order| order.number == number)
    };
    let half = by_number("WEB-1").unwrap();
    assert_eq!(half.state(), State::InDoubt);
    assert_eq!(half.tracking(), ["TRACKWEB-1"]);
    let pages: Vec<PageState> = half.shipments[0].pages.iter().map(|p| p.state).collect();
    assert_eq!(
        pages,
        [PageState::Printed(Proof::Confirmed), PageState::InDoubt]
    );
    assert_eq!(ledger.read_document(&label_id()).unwrap(), LABEL);
    // Starshipit is asked; it says "printed", and that is asked about at the bench.
    assert_eq!(by_number("WEB-2").unwrap().state(), State::Known);
    // A purchase whose outcome is not known stays one: it is looked for before anything is bought.
    assert_eq!(by_number("WEB-3").unwrap().state(), State::Buying);
    assert_eq!(by_number("WEB-3").unwrap().intent.unwrap().sends, 1);
    assert_eq!(
        by_number("WEB-4"),
        None,
        "closed orders stay where they are"
    );

    let read = |path: &str| std::fs::read_to_string(new.path(path)).unwrap();
    assert_eq!(read("etc/credentials/main"), SECRET);
    assert!(read("etc/site.toml").contains("PSX."));
    assert_eq!(
        read("etc/config.toml"),
        std::fs::read_to_string(old.path("etc/config.toml")).unwrap()
    );
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &str| {
        let metadata = std::fs::metadata(new.path(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("etc/credentials/main"), 0o600);
    assert_eq!(mode("etc/config.toml"), 0o640);
}

#[test]
fn a_backup_goes_through_pipes() {
    let old = Box::fresh();
    let _working = old.at_work();
    let sealed = old.run(&["backup", "-o", "-"], PASSPHRASE);
    assert!(sealed.status.success());
    let piped: &Path = &old.path("piped");
    std::fs::write(piped, &sealed.stdout).unwrap();
    let new = Box::fresh();
    let said = works(&new.run(&["restore", "--json", piped.to_str().unwrap()], PASSPHRASE));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["orders"], 3);
    assert_eq!(said["files"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_yesterday_on_a_spare_box_buys_nothing_a_second_time() {
    let world = World::new(&[], "");
    for number in ["WEB-1", "WEB-2", "WEB-3"] {
        world.order(serde_json::json!({ "number": number })).await;
    }
    let cli = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_printstation"))
            .args(arguments)
            .arg("--config")
            .arg(&world.config)
            .arg("--state-dir")
            .arg(world.state())
            .env("PRINTSTATION_PASSPHRASE", PASSPHRASE)
            .output()
            .unwrap();
        works(&output)
    };
    let old = world.run();
    let (_, reply) = world.scan(&old, "WEB-1", Some("60s")).await;
    assert_eq!(reply["outcome"], "printed", "{reply}");
    let file = world.dir.path().join("yesterday.psbackup");
    cli(&["backup", "-o", file.to_str().unwrap()]);
    let (_, reply) = world.scan(&old, "WEB-2", Some("60s")).await;
    assert_eq!(reply["outcome"], "printed", "{reply}");
    // The box is lost, with all that it knew of today.
    old.kill();
    std::fs::remove_dir_all(world.state()).unwrap();
    std::fs::remove_file(&world.config).unwrap();

    cli(&["restore", file.to_str().unwrap()]);
    let spare = world.run();
    for number in ["WEB-1", "WEB-2"] {
        let (_, reply) = world.scan(&spare, number, Some("60s")).await;
        assert_eq!(reply["code"], "printed-elsewhere", "{reply}");
        let (_, reply) = world.scan(&spare, "PSTEST.YES", Some("60s")).await;
        assert_eq!(reply["outcome"], "printed", "{reply}");
    }
    let (_, reply) = world.scan(&spare, "WEB-3", Some("60s")).await;
    assert_eq!(reply["outcome"], "printed", "{reply}");
    let sold: Vec<String> = world
        .sales()
        .await
        .iter()
        .map(|sale| sale["order_number"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sold, ["WEB-1", "WEB-2", "WEB-3"], "one shipment each");
    assert_eq!(spare.stop(), Some(0));
}
