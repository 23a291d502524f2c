// The page: one connection to the server, what was said on it, and where the time went.

import { Microphone, Player } from "./sound.js";

const MOST_TURNS = 40;
const STATES = {
  idle: "Not connected",
  connecting: "Connecting",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
};
const find = (id) => document.getElementById(id);
const turns = find("turns");

let socket = null;
let player = null;
let microphone = null;
/** Lines that are still being said, and how much of the agent's has begun to be. */
let userLine = null;
let agentLine = null;
let begun = "";
/** What was typed before the connection was there. */
let waiting = [];

// ---- what is shown -------------------------------------------------------------------------

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function show(state, text) {
  document.body.dataset.state = state;
  find("state").textContent = text ?? STATES[state] ?? state;
  const isOn = socket !== null;
  find("start").textContent = isOn ? "Hang up" : "Start";
  find("start").dataset.do = isOn ? "stop" : "start";
  find("talk").disabled = !isOn || !navigator.mediaDevices;
  find("talk").setAttribute("aria-pressed", String(Boolean(microphone?.isOn)));
}

function notify(text) {
  find("notice").textContent = text;
  find("notice").hidden = !text;
  toEnd();
}

function toEnd() {
  document.querySelector("main").scrollTo({ top: 1e9 });
}

function addLine(who, label) {
  const line = make("li", who);
  line.append(make("span", "who", label), make("p", "said"));
  turns.append(line);
  while (turns.children.length > MOST_TURNS) turns.firstElementChild.remove();
  return line;
}

function showUser({ text, final }) {
  userLine ??= addLine("user", "You");
  userLine.querySelector(".said").textContent = text;
  userLine.classList.toggle("live", !final);
  if (final) {
    userLine = null;
    agentLine = null;
  }
}

function agentsLine() {
  if (!agentLine) begun = "";
  return (agentLine ??= addLine("agent", "Agent"));
}

function showAgent({ text, final, interrupted }) {
  const said = agentsLine().querySelector(".said");
  if (final) {
    if (interrupted) showCut(text);
    else said.textContent = text;
    agentLine = null;
  } else {
    begun = `${begun} ${text}`.trim();
    said.textContent = begun;
  }
}

/** The agent was stopped: what was begun and not heard is struck through. */
function showCut(heard) {
  if (!agentLine) return;
  const said = agentLine.querySelector(".said");
  said.textContent = heard;
  if (begun.startsWith(heard)) said.append(make("s", "", begun.slice(heard.length)));
  said.append(make("span", "who", "interrupted"));
}

function showParts({ voice_to_voice_ms: total, parts }) {
  if (!total) return;
  for (const earlier of turns.querySelectorAll("details[open]")) earlier.open = false;
  const waterfall = make("details", "waterfall");
  waterfall.open = true;
  waterfall.append(make("summary", "", `${Math.round(total)} ms to the answer`));
  const list = make("ol", "parts");
  let begins = 0;
  for (const part of parts) {
    const row = make("li");
    row.title = `${part.owner}: ${part.setting}`;
    const track = make("span", "track");
    const bar = make("span", "bar");
    bar.style.marginLeft = `${(100 * begins) / total}%`;
    bar.style.width = `${(100 * part.ms) / total}%`;
    track.append(bar);
    row.append(make("span", "", part.name), track, make("span", "ms", `${Math.round(part.ms)} ms`));
    list.append(row);
    begins += part.ms;
  }
  waterfall.append(list);
  agentsLine().append(waterfall);
}

function showTool({ name, ms, failed }) {
  const outcome = failed ? "failed after" : "took";
  agentsLine().append(make("p", "tool", `${name} ${outcome} ${Math.round(ms)} ms`));
}

// ---- the connection ------------------------------------------------------------------------

const onEvent = {
  started: () => {
    show("listening");
    for (const text of waiting.splice(0)) send(text);
  },
  state: ({ state }) => show(state),
  transcript: (event) => (event.role === "user" ? showUser(event) : showAgent(event)),
  clear: () => {
    player.clear();
    showCut("");
  },
  metrics: showParts,
  tool: showTool,
  error: ({ message }) => notify(message),
};

function connect() {
  if (socket) return;
  player ??= new Player();
  microphone ??= new Microphone();
  player.wake();
  notify("");
  const url = new URL("ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.search = location.search;
  const mine = (socket = new WebSocket(url));
  mine.binaryType = "arraybuffer";
  mine.onopen = () => {
    const rates = { sample_rate: microphone.rate, agent_sample_rate: Player.RATE };
    mine.send(JSON.stringify({ type: "start", ...rates }));
  };
  mine.onmessage = ({ data }) => {
    if (typeof data !== "string") return player.play(data);
    const event = JSON.parse(data);
    onEvent[event.type]?.(event);
    if (event.type !== "state") toEnd();
  };
  mine.onclose = (event) => hungUp(mine, event);
  show("connecting");
}

function hungUp(mine, { code, reason }) {
  if (socket !== mine) return;
  const wasOpen = document.body.dataset.state !== "connecting";
  socket = null;
  userLine = agentLine = null;
  microphone.stop();
  player.clear();
  show("idle");
  if (!wasOpen) notify("The server takes no call now: it is full, stopped, or wants a token.");
  else if (code !== 1000 && find("notice").hidden) notify(reason || "The connection was lost.");
}

function send(text) {
  socket.send(JSON.stringify({ type: "text", text }));
}

async function talk() {
  if (microphone.isOn) {
    microphone.stop();
  } else {
    try {
      await microphone.start((sound) => {
        if (socket?.readyState === WebSocket.OPEN) socket.send(sound);
      });
    } catch (error) {
      microphone.stop();
      notify(`The microphone cannot be used: ${error.message}`);
    }
  }
  show(document.body.dataset.state);
}

find("start").onclick = () => {
  if (socket) socket.close(1000);
  else connect();
};

find("talk").onclick = talk;

find("typing").onsubmit = (event) => {
  event.preventDefault();
  const text = find("text").value.trim();
  if (!text) return;
  find("text").value = "";
  if (socket && document.body.dataset.state !== "connecting") return send(text);
  waiting.push(text);
  connect();
};

show("idle");
