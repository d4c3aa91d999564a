//! Starshipit's courier names to Shopify's: only a name exactly as in Shopify's list makes a tracking
//! link by itself (api/shopify.md section 7). A name that is not here goes as it is.

/// Beginning of the courier's name, letters and digits only, and Shopify's name. The longer first.
const NAMES: &[(&str, &str)] = &[
    ("auspost", "Australia Post"),
    ("australiapost", "Australia Post"),
    ("eparcel", "Australia Post"),
    ("mypostbusiness", "Australia Post"),
    ("startrack", "StarTrack"),
    ("dhlecommerce", "DHL eCommerce"),
    ("dhl", "DHL Express"),
    ("fedex", "FedEx"),
    ("aramex", "Aramex Australia"),
    ("fastway", "Aramex Australia"),
    ("tnt", "TNT Australia"),
    ("hunterexpress", "Hunter Express"),
    ("couriersplease", "Couriers Please"),
    ("bonds", "Bonds"),
    ("alliedexpress", "Allied Express"),
    ("directcouriers", "Direct Couriers"),
    ("northline", "Northline"),
    ("gologistics", "GO Logistics"),
    ("nzpost", "NZ Post"),
    ("newzealandpost", "NZ Post"),
    ("sendle", "Sendle"),
    ("ups", "UPS"),
    ("usps", "USPS"),
];

/// Shopify's name for a courier.
pub(super) fn company(carrier: &str) -> String {
    let plain: String = carrier
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    NAMES
        .iter()
        .find(|(start, _)| plain.starts_with(start))
        .map_or_else(|| carrier.trim().to_owned(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn couriers_have_shopifys_names_and_strangers_keep_their_own() {
        for (ours, theirs) in [
            ("AusPost", "Australia Post"),
            ("Australia Post - eParcel", "Australia Post"),
            ("CouriersPlease", "Couriers Please"),
            ("DHL Express", "DHL Express"),
            ("DHLeCommerce", "DHL eCommerce"),
            ("Star Track", "StarTrack"),
            (" Jim's Vans ", "Jim's Vans"),
            ("", ""),
        ] {
            assert_eq!(company(ours), theirs, "{ours}");
        }
    }
}
