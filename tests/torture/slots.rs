//! Power cuts under the update: the slots and the update's memory are on a logged disk while updates
//! are applied, proved, and rolled back. Every state must have a `current` that is whole and starts,
//! with a version that is old or new and nothing else, and the next run must come to its end.

use crate::disk::{Logged, MODELS, Replay, blank, in_rooms, mount_as_at_boot, must};
use crate::fuselog::Ent;
use crate::update_world::{CRASHES, PROVES_ITSELF, World, version};
use crate::util::{Options, Rng};
use printstation::update::Ended;
use printstation::update::policy::Ask;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[derive(Default, Clone)]
struct Tally {
    states: u64,
    bad: u64,
    /// The file system had to be repaired before it was mounted.
    repaired: u64,
    old: u64,
    new: u64,
}

/// One update of the recording: which entries of the log are its own.
struct Session {
    from: &'static str,
    to: &'static str,
    good: bool,
    begin: usize,
    end: usize,
}

pub fn run(options: &Options) -> bool {
    in_rooms(options, |base, memory| cut(options, base, memory))
}

fn cut(options: &Options, base: &Path, memory: &Path) -> bool {
    let blank = blank(memory, options.number("mib", 48));
    let logged = Logged::mount(base, blank.clone());
    let world = World::new();
    // The slots and the update's memory move to the disk; keys and releases stay.
    for name in ["opt", "state"] {
        let (from, to) = (world.path(name), logged.at().join(name));
        must(&format!("cp -a {} {}", from.display(), to.display()));
        std::fs::remove_dir_all(&from).unwrap();
    }
    point(&world, &logged.at());
    let mut sessions = Vec::new();
    for (from, to, good) in [
        ("1.0.0", "1.1.0", true),
        ("1.1.0", "2.0.0", true),
        ("2.0.0", "3.0.0", false),
        ("2.0.0", "4.0.0", true),
    ] {
        world.release(to);
        must(&format!(
            "cp -a {} {}",
            world.path("out").display(),
            world.path(&format!("out-{to}")).display()
        ));
        world.station_does(if good { PROVES_ITSELF } else { CRASHES });
        let begin = logged.settled();
        let ended = world.apply().unwrap();
        match (&ended, good) {
            (Ended::Confirmed { .. }, true) | (Ended::RolledBack { .. }, false) => {}
            _ => panic!("{to}: {ended:?}"),
        }
        let end = logged.settled();
        sessions.push(Session {
            from,
            to,
            good,
            begin,
            end,
        });
    }
    let entries = logged.finish();
    println!(
        "slots: recorded {} updates, {} writes and flushes",
        sessions.len(),
        entries.len()
    );

    let mut rng = Rng(options.number("seed", 7));
    let states = usize::try_from(options.number("states", 400)).unwrap();
    let mut cuts: Vec<(usize, usize)> = (0..states)
        .map(|k| {
            let which = k % sessions.len();
            let session = &sessions[which];
            (
                session.begin + rng.index(session.end - session.begin + 1),
                which,
            )
        })
        .collect();
    cuts.sort_unstable();
    let again = usize::try_from(options.number("again", 5)).unwrap();
    let mut replay = Replay::new(blank, &entries);
    let mut tally = vec![Tally::default(); MODELS.len() + 1];
    let image = memory.join("crash.img");
    for (k, (cut, which)) in cuts.iter().enumerate() {
        let session = &sessions[*which];
        offer(&world, session);
        replay.advance(*cut, |_, _| {});
        let mut mode = k % MODELS.len();
        replay.cut(mode, &mut rng, &image);
        let mut what = format!("cut {cut} of {}, {}", entries.len(), MODELS[mode]);
        let mut slot = mode;
        if again > 0 && k % again == again - 1 {
            // The power goes again while the next run puts things in order.
            let first = std::fs::read(&image).unwrap();
            let recovery = recover(&world, base, first.clone(), session);
            let mut second = Replay::new(first, &recovery);
            let at = rng.index(recovery.len() + 1);
            second.advance(at, |_, _| {});
            mode = rng.index(MODELS.len());
            second.cut(mode, &mut rng, &image);
            what = format!("{what}, then {at} of {}, {}", recovery.len(), MODELS[mode]);
            slot = MODELS.len();
        }
        inspect(&world, base, &image, session, &mut tally[slot], &what);
    }
    let mut good = true;
    for (t, name) in tally.iter().zip(MODELS.iter().chain(&["in-recovery"])) {
        println!(
            "RESULT slots model={name} states={} bad={} starts_old={} starts_new={} fsck={}",
            t.states, t.bad, t.old, t.new, t.repaired
        );
        good &= t.bad == 0 && (t.states > 0 || again == 0);
    }
    good
}

/// The world's slots and memory are where this is mounted.
fn point(world: &World, at: &Path) {
    for name in ["opt", "state"] {
        let link = world.path(name);
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(at.join(name), &link).unwrap();
    }
}

/// The releases as they were at that time.
fn offer(world: &World, session: &Session) {
    let (from, out) = (
        world.path(&format!("out-{}", session.to)),
        world.path("out"),
    );
    must(&format!(
        "rm -rf {0} && cp -a {1} {0}",
        out.display(),
        from.display()
    ));
}

/// A run on a crashed disk, logged; however it ends.
fn recover(world: &World, base: &Path, image: Vec<u8>, session: &Session) -> Vec<(u64, Ent)> {
    let logged = Logged::mount(base, image);
    point(world, &logged.at());
    world.station_does(if session.good { PROVES_ITSELF } else { CRASHES });
    drop(catch_unwind(AssertUnwindSafe(|| {
        world.starts();
        drop(world.apply());
    })));
    logged.settled();
    logged.finish()
}

fn inspect(
    world: &World,
    base: &Path,
    image: &Path,
    session: &Session,
    tally: &mut Tally,
    what: &str,
) {
    tally.states += 1;
    let mount = base.join("mnt2");
    match mount_as_at_boot(image, &mount) {
        Ok(repaired) => tally.repaired += u64::from(repaired),
        Err(error) => {
            eprintln!("{what}: {error}");
            tally.bad += 1;
            return;
        }
    }
    point(world, &mount);
    let looked = catch_unwind(AssertUnwindSafe(|| {
        // What a start of the station would start: old or new, whole.
        let starts = world.starts();
        assert!(
            starts == version(session.from) || starts == version(session.to),
            "starts {starts} between {} and {}",
            session.from,
            session.to
        );
        let is_new = starts == version(session.to);
        // The next run comes to its end, and what it leaves starts.
        world.station_does(PROVES_ITSELF);
        let ended = world.apply().unwrap_or_else(|error| panic!("{error:?}"));
        let done = match &ended {
            Ended::Confirmed { version: v } => *v == version(session.to),
            // Starts that nobody finished count against a version: it is then asked for by name.
            Ended::Waits { code, .. } => matches!(*code, "up-to-date" | "known-bad"),
            Ended::RolledBack { .. } => true,
            _ => false,
        };
        assert!(done, "{ended:?}");
        if session.good
            && !matches!(ended, Ended::Confirmed { .. })
            && world.starts() != version(session.to)
        {
            // Its trial ran out while nobody was there: it can be asked for by name.
            let ask = Ask {
                version: Some(version(session.to)),
                now: false,
            };
            let ended = world
                .apply_with(world.settings(), &ask, &|_| Ok(()))
                .unwrap_or_else(|error| panic!("{error:?}"));
            assert!(matches!(ended, Ended::Confirmed { .. }), "{ended:?}");
        }
        let starts = world.starts();
        if session.good {
            assert_eq!(starts, version(session.to), "after the next run");
        }
        is_new
    }));
    match looked {
        Ok(is_new) => {
            tally.new += u64::from(is_new);
            tally.old += u64::from(!is_new);
        }
        Err(_) => {
            eprintln!("{what}: {} to {}", session.from, session.to);
            tally.bad += 1;
        }
    }
    must(&format!("umount {}", mount.display()));
}
