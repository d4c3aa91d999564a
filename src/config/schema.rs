//! The schema as the code that reads it: every key, its default and its limits (product.md
//! section 6). Long because it is all of them. Checks that span several sections are in [`crate::config::check`].

use crate::config::model::*;
use crate::config::raw::Value;
use crate::config::read::Section;
use crate::config::units;
use crate::config::values::Loopback;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Name of the printer that is meant when none is named.
pub(crate) const PRINTER: &str = "label";

/// Reads every section. `state_dir` overrides `station.state_dir`.
pub(crate) fn config(s: &mut Section<'_>, state_dir: Option<&Path>) -> Config {
    let version = s.int("version", VERSION, 1..=u32::MAX);
    let station = s.section("station", |s| station(s, state_dir));
    let state_dir = station.state_dir.clone();
    Config {
        version,
        scan: s.section("scan", scan),
        scanners: s.list("scanners", scanner),
        buttons: s.list("buttons", button),
        lamp: s.section("lamp", lamp),
        buzzer: s.section("buzzer", |s| Buzzer {
            gpio: gpio(s, "gpio"),
        }),
        signal: s.section("signal", |s| SignalPaper {
            ticket: s.yes("ticket", false),
            printer: s.text("printer", PRINTER),
        }),
        starshipit: s.section("starshipit", starshipit),
        cartoncloud: s.opt_section("cartoncloud", |s| cartoncloud(s, &state_dir)),
        shopify: s.section("shopify", |s| Shopify {
            shops: s.list("shops", shop),
        }),
        webhooks: s.list("webhooks", webhook),
        routes: s.list("routes", route),
        printers: s.list("printers", printer),
        label: s.section("label", label),
        packaging: s.section("packaging", packaging),
        scale: s.section("scale", |s| Scale {
            hid: s.opt_text("hid"),
        }),
        offline: s.section("offline", |s| Offline {
            expire_after: s.duration("expire_after", 30 * MINUTE, SECOND..=7 * DAY),
            release: s.word("release", OfflineRelease::Ask),
        }),
        prefetch: s.section("prefetch", |s| Prefetch {
            couriers: s.texts("couriers"),
            daily_cap: s.int("daily_cap", 200, 0..=100_000),
            max_held: s.int("max_held", 500, 0..=10_000),
            max_age: s.duration("max_age", 3 * DAY, HOUR..=60 * DAY),
            recheck: s.duration("recheck", 300 * MS, Duration::ZERO..=10 * SECOND),
            unverified: s.word("unverified", Unverified::Print),
            writeback: s.word("writeback", PrefetchWriteback::OnRelease),
        }),
        verify: s.section("verify", |s| Verify {
            mode: s.word("mode", VerifyMode::Off),
        }),
        ledger: s.section("ledger", |s| Ledger {
            keep: s.duration("keep", 30 * DAY, HOUR..=3650 * DAY),
            max_orders: s.int("max_orders", 100_000, 100..=10_000_000),
        }),
        web: s.section("web", web),
        alerts: s.section("alerts", |s| Alerts {
            webhook: s.opt_url("webhook", Loopback::Required),
            secret: s.opt_secret("secret"),
            bench_silent_after: s.duration("bench_silent_after", 10 * MINUTE, SECOND..=7 * DAY),
            printer_down_after: s.duration("printer_down_after", 10 * MINUTE, SECOND..=7 * DAY),
            writeback_after: s.duration("writeback_after", HOUR, SECOND..=7 * DAY),
            label_quota: s.int("label_quota", 0, 0..=100_000_000),
        }),
        log: s.section("log", |s| Log {
            format: s.word("format", LogFormat::Auto),
        }),
        update: s.section("update", update),
        station,
    }
}

fn station(s: &mut Section<'_>, state_dir: Option<&Path>) -> Station {
    let written = s.opt_text("state_dir").map(PathBuf::from);
    let timezone = s.opt_text("timezone");
    if let Some(zone) = &timezone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        s.error(
            "timezone",
            "is no time zone of this machine; write one such as \"Australia/Brisbane\"",
        );
    }
    Station {
        name: s.name("name", Some("bench-1")),
        state_dir: state_dir
            .map(Path::to_owned)
            .or(written)
            .unwrap_or_else(|| crate::config::DEFAULT_STATE_DIR.into()),
        timezone,
        duties: s.opt_words("duties").unwrap_or_default(),
    }
}

fn scan(s: &mut Section<'_>) -> Scan {
    let mode = s.word("mode", ScanMode::Print);
    let command_prefix = s.text("command_prefix", "");
    if command_prefix.len() > 16
        || !command_prefix
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    {
        s.error(
            "command_prefix",
            "has at most 16 letters, digits, dots, dashes or underscores, such as \"PS7K4D.\"",
        );
    }
    let repeat_window = s.duration("repeat_window", 1500 * MS, Duration::ZERO..=MINUTE);
    let patterns = s.texts("patterns");
    Scan {
        mode,
        command_prefix,
        repeat_window,
        patterns: patterns
            .iter()
            .filter_map(|text| scan_pattern(s, text))
            .collect(),
        fallback: s.opt_words("fallback").unwrap_or_else(|| {
            vec![
                Fallback::OrderNumber,
                Fallback::Reference,
                Fallback::Tracking,
            ]
        }),
    }
}

/// A scan pattern says by its named groups what the scan is.
fn scan_pattern(s: &Section<'_>, text: &str) -> Option<Pattern> {
    let pattern = s.read_pattern("patterns", text, Pattern::whole(text))?;
    let named: Vec<&str> = pattern.regex().capture_names().flatten().collect();
    for group in &named {
        if !GROUPS.contains(group) {
            let hint = crate::config::suggest::nearest(group, GROUPS).map_or_else(
                || format!("known: {}", GROUPS.join(", ")),
                |right| format!("did you mean `{right}`?"),
            );
            s.error("patterns", format!("unknown group `{group}`; {hint}"));
        }
    }
    if !named.iter().any(|group| *group != "account") {
        s.error(
            "patterns",
            "a pattern needs a named group that says what was scanned, such as (?P<order>…)",
        );
    }
    Some(pattern)
}

fn scanner(s: &mut Section<'_>) -> Scanner {
    let name = s.name("name", None);
    let connection = match s.opt_text("connection") {
        Some(text) => ScannerConnection::parse(&text).unwrap_or_else(|why| {
            s.error("connection", why);
            ScannerConnection::Stdin
        }),
        None => {
            s.error(
                "connection",
                "is missing: write where the scanner is, such as \"tcp-listen://127.0.0.1:4001\"",
            );
            ScannerConnection::Stdin
        }
    };
    let end = s.word("end", ScanEnd::Suffix);
    if s.has("idle") && end == ScanEnd::Suffix {
        s.warn("idle", "is used with end = \"idle\" only");
    }
    let scanner = Scanner {
        name,
        connection,
        end,
        idle: s.duration("idle", 100 * MS, 10 * MS..=5 * SECOND),
        ok: s.text("ok", ""),
        error: s.text("error", ""),
    };
    for (key, bytes) in [("ok", &scanner.ok), ("error", &scanner.error)] {
        if bytes.len() > 64 {
            s.error(key, "is longer than 64 bytes");
        }
    }
    scanner
}

fn button(s: &mut Section<'_>) -> Button {
    let name = s.name("name", None);
    let (gpio, evdev, key) = (gpio(s, "gpio"), s.opt_text("evdev"), s.opt_text("key"));
    match (gpio, &evdev, &key) {
        (Some(_), None, None) | (None, Some(_), Some(_)) => {}
        (None, Some(_), None) => s.error("key", "is missing: write key = \"KEY_ENTER\""),
        _ => s.error(
            "gpio",
            "a button is either gpio = 17, or evdev = \"…\" with key = \"KEY_…\"",
        ),
    }
    Button {
        name,
        gpio,
        evdev,
        key,
        press: s.word("press", ButtonAct::Dispatch),
        long: s.section("long", |s| LongPress {
            after: s.duration("after", 1500 * MS, 300 * MS..=10 * SECOND),
            act: s.word("act", ButtonAct::ReprintLast),
        }),
        debounce: s.duration("debounce", 20 * MS, MS..=SECOND),
        next_statuses: s.texts("next_statuses"),
    }
}

fn gpio(s: &mut Section<'_>, key: &'static str) -> Option<u8> {
    s.opt_int(key, 0..=27)
}

fn lamp(s: &mut Section<'_>) -> Lamp {
    Lamp {
        green: gpio(s, "green"),
        yellow: gpio(s, "yellow"),
        red: gpio(s, "red"),
        blue: gpio(s, "blue"),
        button: gpio(s, "button"),
    }
}

fn starshipit(s: &mut Section<'_>) -> Starshipit {
    Starshipit {
        base_url: s.url("base_url", "https://api.starshipit.com"),
        requests_per_second: s.int("requests_per_second", 2, 1..=1000),
        stations_sharing_key: s.int("stations_sharing_key", 1, 1..=100),
        on_printed_elsewhere: s.word("on_printed_elsewhere", OnPrintedElsewhere::Ask),
        confirm: s.word("confirm", Confirm::Missing),
        request_timeout: s.duration("request_timeout", MINUTE, 100 * MS..=10 * MINUTE),
        settle: s.duration("settle", 90 * SECOND, 100 * MS..=HOUR),
        claim: s.word("claim", Claim::Auto),
        accounts: s.list("accounts", |s| Account {
            name: s.name("name", None),
            api_key: s.secret("api_key"),
            subscription_key: s.secret("subscription_key"),
        }),
    }
}

fn cartoncloud(s: &mut Section<'_>, state_dir: &Path) -> Cartoncloud {
    let tenant_id = s.text("tenant_id", "");
    if tenant_id.is_empty() {
        s.error(
            "tenant_id",
            "is missing: CartonCloud shows it in the address of its pages",
        );
    }
    Cartoncloud {
        base_url: s.url("base_url", "https://api.cartoncloud.com"),
        tenant_id,
        client_id: s.secret("client_id"),
        client_secret: s.secret("client_secret"),
        poll_interval: s.duration("poll_interval", 30 * SECOND, SECOND..=HOUR),
        requests_per_minute: s.int("requests_per_minute", 60, 1..=6000),
        hook_secret: s.opt_secret("hook_secret"),
        print_when: s.opt_section("print_when", |s| {
            let print_when = PrintWhen {
                path: s.text("path", ""),
                equals: s.text("equals", "true"),
            };
            if print_when.path.is_empty() {
                s.error("path", "is missing: write path = \"properties.printNow\"");
            }
            print_when
        }),
        push: s.section("push", |s| Push {
            enabled: s.yes("enabled", false),
            statuses: s
                .opt_texts("statuses")
                .unwrap_or_else(|| vec!["PACKED".into(), "DISPATCHED".into()]),
            order_number: template(s, "order_number", Some("{references.customer}"))
                .unwrap_or_default(),
            reference: template(s, "reference", Some("{references.numericId}")).unwrap_or_default(),
            fields: s.opt_text_map("fields").unwrap_or_default(),
        }),
        on_status: on_status(s).unwrap_or_default(),
        writeback: s.section("writeback", |s| writeback(s, state_dir)),
    }
}

/// Text with `{path}` parts.
fn template(s: &mut Section<'_>, key: &'static str, default: Option<&str>) -> Option<String> {
    let text = s.opt_text(key).or_else(|| default.map(str::to_owned))?;
    let mut open = false;
    let balanced = text.chars().all(|c| match c {
        '{' => !std::mem::replace(&mut open, true),
        '}' => std::mem::replace(&mut open, false),
        _ => true,
    });
    if !balanced || open || !text.contains('{') || text.contains("{}") {
        s.error(
            key,
            "wants text with paths in braces, such as \"{references.customer}\"",
        );
    }
    Some(text)
}

fn on_status(s: &mut Section<'_>) -> Option<BTreeMap<String, StatusAct>> {
    s.opt_section("on_status", |s| {
        let mut map = BTreeMap::new();
        for (status, node) in s.entries() {
            match &node.value {
                Value::Text(text) => {
                    if let Some(act) = s.read_word(status, text) {
                        map.insert(status.to_owned(), act);
                    }
                }
                other => s.error(status, format!("wants text, and this is {}", other.kind())),
            }
        }
        map
    })
}

fn require(s: &mut Section<'_>, sinks: Option<&[Sink]>) -> Option<Require> {
    if s.has("require") && s.is_list("require") {
        let these: Vec<Sink> = s.opt_words("require")?;
        if let Some(missing) = sinks.and_then(|have| these.iter().find(|x| !have.contains(x))) {
            s.error(
                "require",
                format!("\"{}\" is not one of the sinks", missing.as_str()),
            );
        }
        if these.is_empty() {
            s.error(
                "require",
                "an empty list would never be fulfilled; write \"any\" or \"all\"",
            );
        }
        return Some(Require::These(these));
    }
    s.opt_word("require").map(Require::Word)
}

fn order_document(s: &mut Section<'_>) -> OrderDocument {
    OrderDocument {
        when: s.word("when", DocumentWhen::Fallback),
    }
}

fn writeback(s: &mut Section<'_>, state_dir: &Path) -> Writeback {
    let sinks = s
        .opt_words("sinks")
        .unwrap_or_else(|| vec![Sink::Consignment, Sink::OrderDocument]);
    Writeback {
        order_document: s.section("order_document", order_document),
        require: require(s, Some(&sinks)).unwrap_or(Require::Word(RequireWord::Any)),
        sinks,
        observe: s.duration("observe", 30 * MINUTE, Duration::ZERO..=7 * DAY),
        on_conflict: s.word("on_conflict", OnConflict::Keep),
        csv_dir: s
            .opt_text("csv_dir")
            .map_or_else(|| state_dir.join("writeback"), PathBuf::from),
        fields: s.opt_text_map("fields").unwrap_or_else(|| {
            BTreeMap::from([(
                "tracking_number".into(),
                "carrierTrackingNumberField".into(),
            )])
        }),
    }
}

fn shop(s: &mut Section<'_>) -> Shop {
    let (customer, shop) = (s.text("customer", ""), s.text("shop", ""));
    if customer.is_empty() {
        s.error(
            "customer",
            "is missing: the CartonCloud customer of this shop",
        );
    }
    let shop_is_host = !shop.is_empty()
        && shop
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    if !shop_is_host {
        s.error(
            "shop",
            "wants the shop's own address, such as \"example.myshopify.com\"",
        );
    }
    let base_url = s
        .opt_url("base_url", Loopback::Required)
        .unwrap_or_else(|| format!("https://{shop}"));
    let (client_id, client_secret, token) = (
        s.opt_secret("client_id"),
        s.opt_secret("client_secret"),
        s.opt_secret("token"),
    );
    if !matches!(
        (&client_id, &client_secret, &token),
        (Some(_), Some(_), None) | (None, None, Some(_))
    ) {
        s.error(
            "token",
            "a shop has either client_id and client_secret, or token",
        );
    }
    Shop {
        customer,
        shop,
        base_url,
        api_version: s.text("api_version", ""),
        client_id,
        client_secret,
        token,
        notify_customer: s.yes("notify_customer", false),
        order_id: s.text("order_id", "properties.shopifyOrderId"),
        order_name: s.text("order_name", "references.customer"),
    }
}

fn webhook(s: &mut Section<'_>) -> Webhook {
    if !s.has("url") {
        s.error("url", "is missing: where tracking events go");
    }
    Webhook {
        url: s.url("url", ""),
        secret: s.secret("secret"),
    }
}

fn route(s: &mut Section<'_>) -> Route {
    let documents = s
        .opt_texts("documents")
        .unwrap_or_else(|| vec!["label".into()]);
    if let Some(wrong) = documents
        .iter()
        .find(|d| !matches!(d.as_str(), "label" | "packing-slip"))
    {
        let wrong = crate::config::read::clip(wrong);
        s.error(
            "documents",
            format!("unknown value \"{wrong}\"; one of \"label\", \"packing-slip\""),
        );
    }
    Route {
        customer: s.opt_text("customer"),
        warehouse: s.opt_text("warehouse"),
        scan: s.opt_pattern("scan"),
        account: s.text("account", ""),
        printer: s.text("printer", ""),
        documents,
        confirm: s.opt_word("confirm"),
        push: s.opt_section("push", |s| PushOver {
            enabled: s.opt_yes("enabled"),
            statuses: s.opt_texts("statuses"),
            order_number: template(s, "order_number", None),
            reference: template(s, "reference", None),
        }),
        on_status: on_status(s),
        prefetch: s.opt_section("prefetch", |s| PrefetchOver {
            couriers: s.opt_texts("couriers"),
            daily_cap: s.opt_int("daily_cap", 0..=100_000),
            unverified: s.opt_word("unverified"),
            writeback: s.opt_word("writeback"),
        }),
        writeback: s.opt_section("writeback", |s| {
            let sinks: Option<Vec<Sink>> = s.opt_words("sinks");
            WritebackOver {
                order_document: s.opt_section("order_document", order_document),
                require: require(s, sinks.as_deref()),
                sinks,
                on_conflict: s.opt_word("on_conflict"),
                fields: s.opt_text_map("fields"),
            }
        }),
        fields: s.opt_text_map("fields"),
    }
}

fn printer(s: &mut Section<'_>) -> Printer {
    let name = s.name("name", Some(PRINTER));
    let connection = s
        .opt_text("connection")
        .map_or(PrinterConnection::Usb(None), |text| {
            PrinterConnection::parse(&text).unwrap_or_else(|why| {
                s.error("connection", why);
                PrinterConnection::Usb(None)
            })
        });
    let dpi = s.int("dpi", Printer::default().dpi, 100..=1200);
    if !matches!(dpi, 150 | 152 | 180 | 200 | 203 | 300 | 305 | 360 | 600) {
        s.warn(
            "dpi",
            format!("{dpi} is no usual print head; most are 203, 300 or 600"),
        );
    }
    let offset = s.opt_numbers("offset").unwrap_or([0.0, 0.0]);
    if offset.iter().any(|mm| mm.abs() > 50.0) {
        s.error("offset", "moves by at most 50 mm");
    }
    let default = Printer::default();
    Printer {
        name,
        connection,
        language: s.word("language", default.language),
        dpi,
        media: s.media("media", default.media),
        threshold: s.int("threshold", default.threshold, 1..=254),
        darkness: s.int("darkness", default.darkness, -30..=30),
        speed: s.int("speed", default.speed, 0..=14),
        offset,
        after_label: s.opt_word("after_label"),
        copies: s.int("copies", default.copies, 1..=20),
        fallback: s.opt_text("fallback"),
        overrides: s.list("overrides", |s| {
            let over = PrinterOverride {
                label_type: s.text("label_type", ""),
                printer: s.text("printer", ""),
            };
            if over.label_type.is_empty() {
                s.error(
                    "label_type",
                    "is missing: the type of document that goes elsewhere",
                );
            }
            over
        }),
    }
}

fn label(s: &mut Section<'_>) -> Label {
    Label {
        crops: s.list("crops", |s| {
            let courier = s.text("courier", "");
            if courier.is_empty() {
                s.error(
                    "courier",
                    "is missing: the courier whose labels are cut out",
                );
            }
            let page = s.text("page", "A4");
            if !is_page(&page) {
                s.error("page", "wants A4, A5, A6, Letter or Legal (also with -portrait or -landscape), a size such as \"100x150mm\", or any");
            }
            let box_mm = s.opt_numbers("box_mm");
            if box_mm.is_none() && !s.has("box_mm") {
                s.error(
                    "box_mm",
                    "is missing: [left, top, width, height] in millimetres",
                );
            }
            let box_mm = box_mm.unwrap_or([0.0; 4]);
            let [left, top, width, height] = box_mm;
            let inside = |mm: f64| (0.0..=1000.0).contains(&mm);
            if s.has("box_mm")
                && !(box_mm.into_iter().all(inside)
                    && width > 0.0
                    && height > 0.0
                    && inside(left + width)
                    && inside(top + height))
            {
                s.error(
                    "box_mm",
                    "wants [left, top, width, height], each 0 to 1000 mm, with a size",
                );
            }
            Crop {
                courier,
                page,
                box_mm,
                label_type: s.opt_text("label_type"),
            }
        }),
        read_back: s.section("read_back", |s| ReadBack {
            policy: s.word("policy", ReadBackPolicy::Warn),
            hold: s.texts("hold"),
        }),
    }
}

/// A page size that the label room can match.
fn is_page(page: &str) -> bool {
    let page = page.to_ascii_lowercase();
    let base = page
        .strip_suffix("-portrait")
        .or_else(|| page.strip_suffix("-landscape"))
        .unwrap_or(&page);
    page == "any"
        || matches!(base, "a4" | "a5" | "a6" | "letter" | "legal")
        || Media::parse(&page).is_some()
}

fn packaging(s: &mut Section<'_>) -> Packaging {
    let presets = s.section("presets", |s| {
        let mut presets = BTreeMap::new();
        for (name, node) in s.entries() {
            if !crate::config::read::is_name(name) {
                s.error(
                    name,
                    "a name has 1 to 32 letters, digits, dots, dashes or underscores",
                );
            }
            let preset = s.entry(name, node, |s| Preset {
                length_cm: s.opt_positive("length_cm").unwrap_or(0.0),
                width_cm: s.opt_positive("width_cm").unwrap_or(0.0),
                height_cm: s.opt_positive("height_cm").unwrap_or(0.0),
                weight_kg: s.opt_positive("weight_kg").unwrap_or(0.0),
                name: s.text("name", name),
            });
            presets.extend(preset.map(|p| (name.to_owned(), p)));
        }
        presets
    });
    Packaging { presets }
}

fn web(s: &mut Section<'_>) -> Web {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8631));
    let listen = match s.opt_text("listen") {
        Some(text) => text.parse().unwrap_or_else(|_| {
            s.error(
                "listen",
                "wants an address of this machine and a port, such as \"127.0.0.1:8631\"",
            );
            default
        }),
        None => default,
    };
    let token = s.opt_secret("token");
    if !listen.ip().is_loopback() && token.is_none() {
        s.error("listen", "other machines can reach this address, so web.token is needed: token = { credential = \"web-token\" }");
    }
    let peers = s.texts("peers");
    Web {
        listen,
        token,
        hosts: s.texts("hosts"),
        peers: peers
            .iter()
            .filter_map(|peer| {
                units::parse_url(peer, Loopback::NotRequired)
                    .map_err(|why| s.error("peers", why))
                    .ok()
            })
            .collect(),
        peer_token: s.opt_secret("peer_token"),
    }
}

fn update(s: &mut Section<'_>) -> Update {
    let window = s.opt_text("window").and_then(|text| {
        let window = units::parse_window(&text);
        if window.is_none() {
            s.error("window", "wants two times of day, such as \"22:00-05:00\"");
        }
        window.map(|(from, to)| Window { from, to })
    });
    Update {
        url: s.opt_url("url", Loopback::Required),
        window,
    }
}
