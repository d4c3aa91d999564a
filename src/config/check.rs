//! Checks that span sections: names are unique, and whatever is named exists.

use crate::config::model::{Config, Duty, Printer, Route, StatusAct};
use crate::config::raw::{Node, Table, Value};
use crate::config::raw::{Place, Severity};
use crate::config::read::{Report, clip};
use crate::config::schema::PRINTER;
use crate::config::suggest::nearest;

/// What the checks look at beside the values: the tree, for the lines.
pub(crate) struct Checker<'a> {
    pub report: &'a Report,
    pub tree: &'a Table,
    pub file: Place,
}

impl Checker<'_> {
    /// The place of `list[index].key`, or the nearest thing that is written.
    fn place(&self, list: &str, index: usize, key: &str) -> Place {
        fn down<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
            match &node.value {
                Value::Table(table) => table.get(key).map(|(_, n)| n),
                _ => None,
            }
        }
        let mut parts = list.split('.');
        let mut node = parts
            .next()
            .and_then(|first| self.tree.get(first))
            .map(|(_, n)| n);
        for part in parts {
            node = node.and_then(|n| down(n, part));
        }
        let entry = node.and_then(|n| match &n.value {
            Value::List(list) => list.get(index),
            _ => None,
        });
        entry
            .and_then(|e| down(e, key))
            .or(entry)
            .or(node)
            .map_or_else(|| self.file.clone(), |n| n.at.clone())
    }

    fn error(&self, list: &str, index: usize, key: &str, message: String) {
        let name = format!("{list}[{index}].{key}");
        self.report.add(
            Severity::Error,
            &self.place(list, index, key),
            &name,
            message,
        );
    }

    fn unique<'n>(&self, list: &str, key: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen = std::collections::BTreeSet::new();
        for (index, name) in names.enumerate() {
            if !name.is_empty() && !seen.insert(name.to_ascii_lowercase()) {
                self.error(
                    list,
                    index,
                    key,
                    format!("\"{}\" is there twice", clip(name)),
                );
            }
        }
    }

    fn exists(&self, list: &str, index: usize, key: &str, name: &str, what: &str, all: &[String]) {
        if all.iter().any(|known| known == name) {
            return;
        }
        let hint = match nearest(name, all.iter().map(String::as_str)) {
            Some(right) => format!("did you mean \"{right}\"?"),
            None if all.is_empty() => "there is none".to_owned(),
            None => format!("there are: {}", all.join(", ")),
        };
        self.error(
            list,
            index,
            key,
            format!("there is no {what} \"{}\"; {hint}", clip(name)),
        );
    }

    /// Checks names and references, and fills in what follows from them.
    pub(crate) fn finish(&self, config: &mut Config) {
        self.accounts_and_printers(config);
        self.names(config);
        self.fill_routes(config);
        self.references(config);
        self.pins(config);
        self.numbers(config);
        if config.update.window.is_some() && config.station.timezone.is_none() {
            self.report.add(
                Severity::Error,
                &self.section("update", "window"),
                "update.window",
                "needs station.timezone, such as \"Australia/Brisbane\"".into(),
            );
        }
        self.ahead(config);
        if config.scan.command_prefix.is_empty() {
            self.report.add(
                Severity::Warning,
                &self.section("scan", "command_prefix"),
                "scan.command_prefix",
                "is not set: command barcodes (REPRINT, YES, …) do not work; write one per site, such as \"PS7K4D.\"".into(),
            );
        }
    }

    /// Labels ahead of the scan: what is set and comes to nothing.
    fn ahead(&self, config: &Config) {
        let Some(cloud) = &config.cartoncloud else {
            return;
        };
        let prefetches = config.routes.iter().any(|route| {
            let acts = route.on_status.as_ref().unwrap_or(&cloud.on_status);
            acts.values().any(|act| *act == StatusAct::Prefetch)
        });
        if !prefetches || !config.station.duties.contains(&Duty::Prefetch) {
            return;
        }
        let over = |route: &Route| route.prefetch.as_ref()?.couriers.clone();
        let allowed = |route: &Route| {
            !over(route)
                .unwrap_or_else(|| config.prefetch.couriers.clone())
                .is_empty()
        };
        let warn = |section: &str, key: &str, message: &str| {
            self.report.add(
                Severity::Warning,
                &self.section(section, key),
                &format!("{section}.{key}"),
                message.to_owned(),
            );
        };
        if !config.routes.iter().any(allowed) {
            warn(
                "prefetch",
                "couriers",
                "allows none: no label is bought ahead, although a status asks for it",
            );
        } else if config.station.timezone.is_none() {
            warn(
                "station",
                "timezone",
                "is not set: prefetch.daily_cap counts days of UTC",
            );
        }
    }

    /// Two customers of one account may have the same order number (contract 3).
    fn numbers(&self, c: &Config) {
        let Some(cloud) = &c.cartoncloud else { return };
        let mut shared: std::collections::BTreeMap<&str, Vec<(usize, &str)>> =
            std::collections::BTreeMap::new();
        for (index, route) in c.routes.iter().enumerate() {
            let over = route.push.as_ref();
            if !over.and_then(|p| p.enabled).unwrap_or(cloud.push.enabled) {
                continue;
            }
            let number = over.and_then(|p| p.order_number.as_deref());
            let number = number.unwrap_or(&cloud.push.order_number);
            // A fixed part that is the route's own tells its orders apart as well.
            let own = route.customer.is_some() && number != cloud.push.order_number;
            if !own && !number.contains("{customer.") {
                let of = route.customer.as_deref().unwrap_or_default();
                shared.entry(&route.account).or_default().push((index, of));
            }
        }
        for (account, routes) in shared {
            let customers: std::collections::BTreeSet<&str> =
                routes.iter().map(|(_, customer)| *customer).collect();
            if customers.len() < 2 {
                continue;
            }
            let Some((index, _)) = routes.first() else {
                continue;
            };
            self.report.add(
                Severity::Warning,
                &self.place("routes", *index, "account"),
                &format!("routes[{index}].account"),
                format!(
                    "several customers may share account \"{}\", and order_number has no customer in it: \
                     two orders of the same number would be one; write \"{{customer.references.code}}-{{references.customer}}\"",
                    clip(account)
                ),
            );
        }
    }

    fn section(&self, section: &str, key: &str) -> Place {
        let table = self.tree.get(section);
        let at = table.map_or_else(|| self.file.clone(), |(_, n)| n.at.clone());
        match table.map(|(_, n)| &n.value) {
            Some(Value::Table(t)) => t.get(key).map_or(at, |(_, n)| n.at.clone()),
            _ => at,
        }
    }

    fn accounts_and_printers(&self, config: &mut Config) {
        if config.starshipit.accounts.is_empty() && !self.mentions_accounts() {
            self.report.add(
                Severity::Error,
                &self.section("starshipit", "accounts"),
                "starshipit.accounts",
                "at least one [[starshipit.accounts]] with name, api_key and subscription_key is needed".into(),
            );
        }
        if config.printers.is_empty() && !self.tree.contains_key("printers") {
            config.printers.push(Printer::default());
        }
    }

    /// Something is written as accounts; if it was of the wrong kind, that has been said.
    fn mentions_accounts(&self) -> bool {
        match self.tree.get("starshipit").map(|(_, n)| &n.value) {
            Some(Value::Table(t)) => t.contains_key("accounts"),
            other => other.is_some(),
        }
    }

    fn names(&self, c: &Config) {
        self.unique(
            "scanners",
            "name",
            c.scanners.iter().map(|x| x.name.as_str()),
        );
        self.unique("buttons", "name", c.buttons.iter().map(|x| x.name.as_str()));
        self.unique(
            "printers",
            "name",
            c.printers.iter().map(|x| x.name.as_str()),
        );
        self.unique(
            "starshipit.accounts",
            "name",
            c.starshipit.accounts.iter().map(|x| x.name.as_str()),
        );
        self.unique(
            "shopify.shops",
            "shop",
            c.shopify.shops.iter().map(|x| x.shop.as_str()),
        );
        let stdin = |x: &&crate::config::model::Scanner| {
            x.connection == crate::config::model::ScannerConnection::Stdin
        };
        if c.scanners.iter().filter(stdin).count() > 1 {
            let last = c.scanners.iter().rposition(|x| stdin(&x)).unwrap_or(0);
            self.error(
                "scanners",
                last,
                "connection",
                "standard input can feed one scanner only".into(),
            );
        }
    }

    /// A route without account or printer means the only one there is.
    fn fill_routes(&self, c: &mut Config) {
        let only_account = match c.starshipit.accounts.as_slice() {
            [one] => Some(one.name.clone()),
            _ => None,
        };
        let printer = match c.printers.as_slice() {
            [one] => one.name.clone(),
            _ => PRINTER.to_owned(),
        };
        if c.routes.is_empty() && !self.tree.contains_key("routes") {
            match &only_account {
                Some(account) => c.routes.push(crate::config::model::Route {
                    account: account.clone(),
                    ..Default::default()
                }),
                None if c.starshipit.accounts.len() > 1 => self.report.add(
                    Severity::Error,
                    &self.section("starshipit", "accounts"),
                    "routes",
                    "several accounts need [[routes]] that say which order goes to which".into(),
                ),
                None => {}
            }
        }
        for (index, route) in c.routes.iter_mut().enumerate() {
            if route.printer.is_empty() {
                route.printer.clone_from(&printer);
            }
            if route.account.is_empty() {
                match &only_account {
                    Some(account) => route.account.clone_from(account),
                    None => self.error(
                        "routes",
                        index,
                        "account",
                        "is missing: which account ships these orders".into(),
                    ),
                }
            }
        }
    }

    fn references(&self, c: &Config) {
        let accounts: Vec<String> = c
            .starshipit
            .accounts
            .iter()
            .map(|a| a.name.clone())
            .collect();
        let printers: Vec<String> = c.printers.iter().map(|p| p.name.clone()).collect();
        for (index, route) in c.routes.iter().enumerate() {
            if !route.account.is_empty() {
                self.exists(
                    "routes",
                    index,
                    "account",
                    &route.account,
                    "account",
                    &accounts,
                );
            }
            self.exists(
                "routes",
                index,
                "printer",
                &route.printer,
                "printer",
                &printers,
            );
        }
        for (index, printer) in c.printers.iter().enumerate() {
            if let Some(fallback) = &printer.fallback {
                self.exists(
                    "printers", index, "fallback", fallback, "printer", &printers,
                );
                if *fallback == printer.name {
                    self.error(
                        "printers",
                        index,
                        "fallback",
                        "a printer cannot stand in for itself".into(),
                    );
                }
            }
            for over in &printer.overrides {
                self.exists(
                    "printers",
                    index,
                    "overrides",
                    &over.printer,
                    "printer",
                    &printers,
                );
            }
        }
        if c.signal.ticket && !printers.contains(&c.signal.printer) {
            self.report.add(
                Severity::Error,
                &self.section("signal", "printer"),
                "signal.printer",
                format!(
                    "there is no printer \"{}\"; there are: {}",
                    clip(&c.signal.printer),
                    printers.join(", ")
                ),
            );
        }
    }

    /// One pin does one thing.
    fn pins(&self, c: &Config) {
        let buttons = c.buttons.iter().enumerate().filter_map(|(i, b)| {
            Some((
                b.gpio?,
                format!("buttons[{i}].gpio"),
                self.place("buttons", i, "gpio"),
            ))
        });
        let lamp = [
            ("green", c.lamp.green),
            ("yellow", c.lamp.yellow),
            ("red", c.lamp.red),
            ("blue", c.lamp.blue),
            ("button", c.lamp.button),
        ]
        .into_iter()
        .filter_map(|(colour, pin)| {
            Some((pin?, format!("lamp.{colour}"), self.section("lamp", colour)))
        });
        let buzzer = c.buzzer.gpio.map(|pin| {
            (
                pin,
                "buzzer.gpio".to_owned(),
                self.section("buzzer", "gpio"),
            )
        });
        let mut taken = std::collections::BTreeMap::new();
        for (pin, key, at) in buttons.chain(lamp).chain(buzzer) {
            if let Some(first) = taken.get(&pin) {
                self.report.add(
                    Severity::Error,
                    &at,
                    &key,
                    format!("GPIO {pin} is taken by {first}"),
                );
            } else {
                taken.insert(pin, key);
            }
        }
    }
}
