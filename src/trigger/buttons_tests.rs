//! Buttons on a board without hardware: what is missing, late, held and long.

use super::*;
use crate::system::gpio::fake::FakeBoard;

fn settings(name: &str, pin: u8) -> ButtonSettings {
    ButtonSettings {
        name: name.into(),
        at: ButtonAt::Gpio(pin),
        debounce: Duration::from_millis(20),
        long: Some(Duration::from_millis(1500)),
    }
}

async fn next(rx: &mut mpsc::Receiver<ButtonEvent>) -> (String, ButtonNews) {
    let event = tokio::time::timeout(Duration::from_secs(20), rx.recv()).await;
    let event = event.expect("in time").expect("a listener");
    (event.button, event.news)
}

fn open(board: &FakeBoard) -> OpenInputs {
    let board = board.clone();
    Box::new(move || board.inputs())
}

#[tokio::test]
async fn a_board_without_pins_and_a_pin_that_is_taken_are_said_and_the_others_work() {
    let (tx, mut rx) = mpsc::channel(16);
    let board = FakeBoard::new();
    board.take(17);
    let _buttons = spawn_buttons(
        vec![settings("a", 17), settings("b", 22)],
        open(&board),
        &tx,
    )
    .unwrap();
    let (button, news) = next(&mut rx).await;
    assert!(
        matches!(&news, ButtonNews::Lost { why } if button == "a" && why.contains("17")),
        "{news:?}"
    );
    assert_eq!(next(&mut rx).await, ("b".into(), ButtonNews::Found));
    board.edge(22, true, Duration::from_secs(100));
    board.edge(22, false, Duration::from_millis(100_200));
    assert_eq!(
        next(&mut rx).await,
        ("b".into(), ButtonNews::Did(Gesture::Press))
    );
    let (tx, mut rx) = mpsc::channel(16);
    let none: OpenInputs = Box::new(|| {
        Err(GpioError::NoBoard {
            why: "no Pi".into(),
        })
    });
    let _buttons = spawn_buttons(vec![settings("a", 17)], none, &tx).unwrap();
    assert!(matches!(next(&mut rx).await.1, ButtonNews::Lost { why } if why.contains("no Pi")));
}

#[tokio::test]
async fn presses_are_measured_by_when_they_happened() {
    let (tx, mut rx) = mpsc::channel(16);
    let board = FakeBoard::new();
    let _buttons = spawn_buttons(vec![settings("a", 17)], open(&board), &tx).unwrap();
    assert_eq!(next(&mut rx).await.1, ButtonNews::Found);
    // Both edges arrive together, as after a stall.
    board.edge(17, true, Duration::from_secs(50));
    board.edge(17, false, Duration::from_millis(50_300));
    assert_eq!(next(&mut rx).await.1, ButtonNews::Did(Gesture::Press));
}

#[tokio::test]
async fn a_hold_becomes_a_long_press_by_itself() {
    let (tx, mut rx) = mpsc::channel(16);
    let board = FakeBoard::new();
    let quick = ButtonSettings {
        long: Some(Duration::from_millis(50)),
        ..settings("a", 17)
    };
    let _buttons = spawn_buttons(vec![quick], open(&board), &tx).unwrap();
    assert_eq!(next(&mut rx).await.1, ButtonNews::Found);
    board.edge(17, true, Duration::from_secs(1));
    assert_eq!(next(&mut rx).await.1, ButtonNews::Did(Gesture::Long));
}

#[tokio::test]
async fn pins_that_fail_all_at_once_come_back_and_a_held_one_does_not_fire() {
    let (tx, mut rx) = mpsc::channel(16);
    let board = FakeBoard::new();
    let _buttons = spawn_buttons(vec![settings("a", 17)], open(&board), &tx).unwrap();
    assert_eq!(next(&mut rx).await.1, ButtonNews::Found);
    board.hold(17);
    board.fail();
    assert!(matches!(next(&mut rx).await.1, ButtonNews::Lost { .. }));
    assert_eq!(next(&mut rx).await.1, ButtonNews::Found);
    board.edge(17, false, Duration::from_secs(9));
    board.edge(17, true, Duration::from_secs(12));
    board.edge(17, false, Duration::from_millis(12_100));
    assert_eq!(next(&mut rx).await.1, ButtonNews::Did(Gesture::Press));
}

#[tokio::test]
async fn a_pedal_that_is_away_or_a_key_that_is_none_is_said() {
    let (tx, mut rx) = mpsc::channel(16);
    let pedal = |key: &str| ButtonSettings {
        at: ButtonAt::Key {
            device: "usb-no-such-pedal".into(),
            key: key.into(),
        },
        ..settings("pedal", 0)
    };
    let none = || -> OpenInputs { Box::new(|| Err(GpioError::NoBoard { why: String::new() })) };
    for key in ["KEY_ENTER", "KEY_NONSENSE"] {
        let _buttons = spawn_buttons(vec![pedal(key)], none(), &tx).unwrap();
        assert!(matches!(next(&mut rx).await.1, ButtonNews::Lost { .. }));
    }
    assert_eq!(key_code("KEY_ENTER"), Some(28));
}
