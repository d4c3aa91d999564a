//! From a sale order as it comes over the wire to the order that Starshipit would get.

use super::*;
use printstation::domain::push::{NewOrder, Refusal, Rules, new_order};
use printstation::sim::cartoncloud::{SeedItem, nasty_orders};

impl Bench {
    async fn pushed(&self, reference: &str) -> Result<NewOrder, Refusal> {
        let order = self.find_one(reference).await;
        let products = self.client.products(&order, Priority::Scan).await.unwrap();
        let packages = self
            .client
            .packages(&order.uuid, Priority::Scan)
            .await
            .unwrap();
        let rules = Rules {
            number: order.fill("{references.customer}").unwrap(),
            reference: order.fill("{references.numericId}"),
            ..Rules::default()
        };
        new_order(&order, &products, &packages, &rules)
    }
}

#[tokio::test]
async fn nasty_orders_are_refused_with_the_reason_or_made_whole() {
    let bench = Bench::with(&["consignments=none"]).await;
    for seed in nasty_orders(&bench.server.customers()) {
        bench.order(seed);
    }
    for (reference, code, names) in [
        ("NASTY-NOSUBURB", Code::AddressRefused, "suburb"),
        ("NASTY-ZERO", Code::WeightMissing, "ZERO"),
        ("NASTY-NOWEIGHT", Code::WeightMissing, "NOWEIGHT"),
        ("NASTY-PICKUP", Code::NotPushed, "PICKUP"),
    ] {
        let refusal = bench.pushed(reference).await.unwrap_err();
        assert_eq!(refusal.code, code, "{refusal:?}");
        assert!(refusal.detail.contains(names), "{refusal:?}");
    }
    let order = bench.pushed("NASTY-STREET").await.unwrap();
    assert_eq!(order.destination.street.len(), 100);
    let order = bench
        .pushed("WEB20417 | 7522600000000 | 0003")
        .await
        .unwrap();
    assert_eq!(order.number, "WEB20417 | 7522600000000 | 0003");
    assert!((order.weight_kg() - 1.04).abs() < 1e-9, "{order:?}");
}

#[tokio::test]
async fn an_order_is_the_same_however_cartoncloud_writes_it() {
    let mut all = Vec::new();
    for switches in [&["numbers=numbers"][..], &["numbers=strings", "state=text"]] {
        let bench = Bench::with(switches).await;
        let code = bench.server.customers()[0].code.clone();
        bench.order(Seed {
            status: Some("PACKED".into()),
            packages: vec![1.5, 2.25],
            items: vec![SeedItem {
                uom: Some("CTN".into()),
                ..SeedItem::units(format!("{code}-500"), 2.0)
            }],
            ..Seed::reference("WEB-1")
        });
        let mut order = bench.pushed("WEB-1").await.unwrap();
        assert!(
            (order.weight_kg() - 3.75).abs() < 1e-9,
            "the packages count"
        );
        assert!(
            (order.items[0].weight_kg.unwrap() - 6.5).abs() < 1e-9,
            "a carton's own weight"
        );
        order.order_date = None;
        order.reference = None;
        all.push(order);
    }
    assert_eq!(all[0], all[1]);
}

#[tokio::test]
async fn one_of_suburb_and_city_is_enough() {
    for switch in ["city=missing", "city=only"] {
        let bench = Bench::with(&[switch]).await;
        bench.packed("WEB-1");
        let order = bench.pushed("WEB-1").await.unwrap();
        assert_eq!(
            order.destination.city.as_ref(),
            Some(&order.destination.suburb)
        );
    }
}
