// ---- sound.js: the buzzer's patterns, for a bench without a buzzer ------------------------------

const SHORT = 0.06, LONG = 0.3, GAP = 0.1;
const PATTERNS = {
  accepted: [SHORT], queued: [SHORT, LONG], "nothing-waiting": [LONG], question: [SHORT, SHORT],
  refused: [SHORT, SHORT, SHORT], "printer-needs-hand": [LONG, LONG], fault: [LONG, LONG, LONG],
};
// Said again as long as it holds, in seconds.
const AGAIN = { question: 10, "printer-needs-hand": 30 };
const sound = { on: kept.get("sound") === "on", audio: null, again: 0, sounding: "" };

function play(signal) {
  const pattern = PATTERNS[signal];
  if (!sound.on || !pattern) return;
  try {
    sound.audio ||= new AudioContext();
    if (sound.audio.state === "suspended") sound.audio.resume();
    let at = sound.audio.currentTime + 0.02;
    for (const length of pattern) {
      const tone = sound.audio.createOscillator(), volume = sound.audio.createGain();
      tone.type = "square";
      tone.frequency.value = 1600;
      volume.gain.value = 0.12;
      tone.connect(volume).connect(sound.audio.destination);
      tone.start(at);
      tone.stop(at + length);
      at += length + GAP;
    }
  } catch { /* a browser without sound */ }
}
// A state that is told again and again, until it ends or, for the printer, a press mutes it.
function sounding(signal) {
  if (sound.sounding === signal) return;
  sound.sounding = signal;
  clearInterval(sound.again);
  if (!AGAIN[signal]) return;
  play(signal);
  sound.again = setInterval(() => play(signal), AGAIN[signal] * 1000);
}
function mute() { if (sound.sounding === "printer-needs-hand") clearInterval(sound.again); }
function showSound() {
  $("sound").textContent = sound.on ? "Sound on" : "Sound off";
  $("sound").setAttribute("aria-pressed", String(sound.on));
}
$("sound").onclick = () => {
  sound.on = !sound.on;
  kept.set("sound", sound.on ? "on" : "off");
  showSound();
  play("accepted");
  home();
};
showSound();
