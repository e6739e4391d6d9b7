"use strict";

const $ = selector => document.querySelector(selector);
const uploads = new Map();  // The list items of files on their way, by id.
let socket = null, room = "hall";

function add(list, className, ...parts) {
  const item = document.createElement("li");
  item.className = className;
  item.append(...parts);
  list.append(item);
  return item;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;  // Text, never markup: somebody else has typed it.
  return made;
}

// Chat: a WebSocket for each room that is entered; it comes back when it is lost.

const notes = {joined: "comes in", left: "leaves"};

function enter(name) {
  room = name;
  socket?.close();
  $("#said").replaceChildren();
  for (const button of document.querySelectorAll("nav button")) {
    button.toggleAttribute("aria-current", button.dataset.room === room);
    if (button.dataset.room === room) button.classList.remove("news");
  }
  const mine = socket = new WebSocket(`${location.origin.replace("http", "ws")}/rooms/${room}`);
  mine.onmessage = ({data}) => {
    const message = JSON.parse(data), said = $("#said");
    if (message.kind === "said") add(said, "", element("b", message.name), message.text);
    else add(said, "note", `${message.name} ${notes[message.kind]}`);
    said.scrollTop = said.scrollHeight;
  };
  mine.onclose = () => setTimeout(() => { if (mine === socket) enter(room) }, 1000);
}

function say(event) {
  event.preventDefault();
  const {text} = event.target.elements;
  socket.send(text.value);
  text.value = "";
}

// Files: their progress comes as server-sent events, whoever sends them.

function size(bytes) {
  for (const unit of ["B", "KB", "MB"]) {
    if (bytes < 1000) return `${bytes.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
    bytes /= 1000;
  }
  return `${bytes.toFixed(1)} GB`;
}

function showFile(file, first = false) {
  const link = element("a", file.name);
  link.href = `/files/${file.id}`;
  const item = add($("#files"), "", link, " ", element("span", `${size(file.size)}, by ${file.by}`));
  if (first) $("#files").prepend(item);
}

function showProgress({id, name, by, received, total}) {
  if (!uploads.has(id)) {
    uploads.set(id, add($("#uploads"), "", document.createElement("span"),
                        document.createElement("progress")));
  }
  const [text, bar] = uploads.get(id).children;
  text.textContent = `${name}, by ${by}: ${size(received)}`;
  if (total) Object.assign(bar, {max: total, value: received});  // Else it only moves.
}

function endProgress({id}) {
  uploads.get(id)?.remove();
  uploads.delete(id);
}

function listen() {
  const events = new EventSource("/events");
  events.onopen = async () => {  // Also when the connection was lost: what happened meanwhile?
    const files = await (await fetch("/files")).json();
    $("#files").replaceChildren();
    files.forEach(file => showFile(file));
  };
  events.addEventListener("progress", ({data}) => showProgress(JSON.parse(data)));
  events.addEventListener("shared", ({data}) => {
    const file = JSON.parse(data);
    endProgress(file);
    showFile(file, true);
  });
  events.addEventListener("dropped", ({data}) => endProgress(JSON.parse(data)));
  events.addEventListener("said", ({data}) => {
    const message = JSON.parse(data);
    if (message.room !== room) $(`nav [data-room="${message.room}"]`)?.classList.add("news");
  });
}

async function share(event) {
  event.preventDefault();
  const form = event.target, button = form.querySelector("button");
  button.disabled = true;
  try {
    const response = await fetch("/files", {method: "POST", body: new FormData(form)});
    if (response.ok) form.reset();
    else alert(await response.text());
  } finally {
    button.disabled = false;
  }
}

// Coming in and leaving.

async function logIn(event) {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(event.target));
  const response = await fetch("/login", {method: "POST", body});
  $(".error").textContent = response.ok ? "" : await response.text();
  if (response.ok) start();
}

async function logOut() {
  await fetch("/logout", {method: "POST"});
  location.reload();
}

async function start() {
  const response = await fetch("/me"), isGuest = response.ok;
  $("#login").hidden = isGuest;
  $("main").hidden = $("#guest").hidden = !isGuest;
  if (!isGuest) return $("#login input").focus();
  $("#guest b").textContent = (await response.json()).name;
  enter(room);
  listen();
}

$("#protocol").textContent = `over ${performance.getEntriesByType("navigation")[0].nextHopProtocol}`;
$("#login").onsubmit = logIn;
$("#leave").onclick = logOut;
$("#say").onsubmit = say;
$("#upload").onsubmit = share;
for (const button of document.querySelectorAll("nav button")) {
  button.onclick = () => enter(button.dataset.room);
}
start();
