//! All simulators together: one seeded world, and the command line that makes it.

use printstation::sim::{SimOptions, Sims, cartoncloud, composition, shopify, webhook};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn whole() -> SimOptions {
    SimOptions {
        cartoncloud: Some(cartoncloud::Options::default()),
        shopify: Some(shopify::Options::default()),
        webhook: Some(webhook::Options::default()),
        orders: 6,
        ..SimOptions::default()
    }
}

#[test]
fn a_switch_or_fault_of_a_system_that_is_not_there_is_refused_by_name() {
    let mut options = SimOptions::default();
    let told = options.switch("cartoncloud.stale=409").unwrap_err();
    assert!(told.contains("--cartoncloud ADDR"), "{told}");
    assert!(
        options
            .fault("shopify:reset")
            .unwrap_err()
            .contains("--shopify ADDR")
    );
    assert!(
        options
            .switch("ebay.x=y")
            .unwrap_err()
            .contains("starshipit, cartoncloud")
    );
    let mut options = whole();
    assert!(
        options
            .switch("cartoncloud.stale=7")
            .unwrap_err()
            .contains("412, 409")
    );
    assert!(
        options
            .fault("cartoncloud:explode")
            .unwrap_err()
            .contains("version_bump")
    );
    assert!(
        options
            .fault("webhook:reset:once:print")
            .unwrap_err()
            .contains("deliver")
    );
    for text in [
        "S2=new-consignment",
        "cartoncloud.stale=409",
        "shopify.index-lag=1s",
        "webhook.answer=410",
    ] {
        options.switch(text).unwrap();
    }
    for text in [
        "html_500:once:print",
        "cartoncloud:reset:0.1:order-search",
        "shopify:throttled",
        "webhook:reset",
    ] {
        options.fault(text).unwrap();
    }
    assert_eq!(options.faults.len(), 1);
}

#[tokio::test]
async fn one_world_has_its_orders_in_cartoncloud_and_shopify_and_none_in_starshipit() {
    let sims = Sims::start(SimOptions {
        nasty: true,
        order_status: Some("PACKED".into()),
        ..whole()
    })
    .await
    .unwrap();
    assert!(sims.starshipit.order_numbers().is_empty());
    let sale = sims.cartoncloud.as_ref().unwrap().orders();
    assert_eq!(
        sale.iter()
            .filter(|o| o.reference.starts_with("WEB-"))
            .count(),
        6
    );
    assert!(
        sale.iter()
            .all(|o| o.status == "PACKED" && o.consignments.len() == 1)
    );
    let shop = sims.shopify.as_ref().unwrap().orders();
    for order in &sale {
        let id = &order.order["properties"]["shopifyOrderId"];
        if order.customer == "BEE" {
            assert!(id.is_null(), "no shop");
            continue;
        }
        let gid = format!("gid://shopify/Order/{}", id.as_str().unwrap());
        let twin = shop.iter().find(|o| o.id == gid).unwrap();
        assert_eq!(twin.name, order.reference);
        assert_eq!(twin.shop, shopify::Shop::of(&order.customer).shop);
    }
    let ready = serde_json::to_value(sims.ready()).unwrap();
    assert_eq!(ready["cartoncloud"]["customers"][2]["code"], "BEE");
    assert!(
        ready["shopify"]["shops"][0]["base_url"]
            .as_str()
            .unwrap()
            .ends_with("/tea-shop")
    );
    assert!(ready["webhook"]["secret"].is_string());
    sims.stop().await;
}

#[tokio::test]
async fn a_restart_makes_no_order_twice() {
    let dir = tempfile::tempdir().unwrap();
    let options = || SimOptions {
        state: Some(dir.path().to_owned()),
        ..whole()
    };
    let sims = Sims::start(options()).await.unwrap();
    let before = sims.cartoncloud.as_ref().unwrap().orders();
    sims.stop().await;
    let sims = Sims::start(options()).await.unwrap();
    assert_eq!(sims.cartoncloud.as_ref().unwrap().orders(), before);
    assert_eq!(sims.shopify.as_ref().unwrap().orders().len(), 4);
}

#[tokio::test]
async fn without_cartoncloud_the_orders_are_starshipits_as_ever() {
    let sims = Sims::start(SimOptions {
        orders: 3,
        ..SimOptions::default()
    })
    .await
    .unwrap();
    assert_eq!(sims.starshipit.order_numbers().len(), 3);
    let ready = serde_json::to_value(sims.ready()).unwrap();
    assert!(ready.get("cartoncloud").is_none() && ready.get("shopify").is_none());
}

#[test]
fn the_help_names_every_switch_and_fault_of_every_system() {
    let help = composition::help();
    for word in [
        "cartoncloud.order-put",
        "shopify.scopes",
        "webhook.answer",
        "cartoncloud:version_bump",
        "shopify:throttled",
        "consignment-put",
        "error_503",
    ] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn the_command_line_starts_the_world_and_says_where_it_is() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_printstation"))
        .args([
            "sim",
            "--cartoncloud",
            "127.0.0.1:0",
            "--shopify",
            "127.0.0.1:0",
            "--webhook",
            "127.0.0.1:0",
        ])
        .args([
            "--accounts",
            "3",
            "--orders",
            "2",
            "--switch",
            "cartoncloud.stale=409",
            "--fault",
            "cartoncloud:latency=1ms",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .next()
        .unwrap()
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["starshipit"]["accounts"].as_array().unwrap().len(), 3);
    let admin = format!("{}/_sim", ready["cartoncloud"]["admin"].as_str().unwrap());
    let told = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let get = async |path: &str| {
            let reply = crate::client()
                .get(format!("{admin}/{path}"))
                .send()
                .await
                .unwrap();
            serde_json::from_str::<Value>(&reply.text().await.unwrap()).unwrap()
        };
        (
            get("orders").await,
            get("switches").await,
            get("faults").await,
        )
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told.0["orders"].as_array().unwrap().len(), 2);
    assert_eq!(told.1["stale"], "409");
    assert_eq!(told.2["faults"], json!(["cartoncloud:latency=1ms:1"]));
}
