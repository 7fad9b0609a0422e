import {decide} from "./core.js"

const find = id => document.getElementById(id)
const settings = await (await fetch("page.json")).json(), {config} = settings
// a blob's worker obeys this page's policy
const source = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)}`
const worker = new Worker(URL.createObjectURL(new Blob([source], {type: "text/javascript"})), {type: "module"})
const waiting = new Map()
let asked = 0, looked = null

export const ask = file => new Promise(answer => {
  waiting.set(++asked, answer)
  worker.postMessage({id: asked, file})
})

worker.onmessage = ({data: {id, ...message}}) => {
  if (id) { waiting.get(id)(message); waiting.delete(id); return }
  if (message.error) show(element("p", {className: "problem", role: "alert"}, message.error))
  find("status").textContent = message.error ? "" : message.ready
    ? "Ready. Works without a network from now on, and sends nothing anywhere."
    : `Loading the model: ${Math.min(99, Math.round(100 * message.progress))} %`
  if (message.ready) keep()
}
worker.onerror = () => find("status").textContent = "This browser is too old for this page: use a current one."

// files of the page itself for the next visit without a network
async function keep() {
  if (navigator.serviceWorker) await navigator.serviceWorker.register("service-worker.js").catch(() => {
    find("status").textContent = "Ready. This browser keeps nothing, so it needs a network; photos stay here." })
  document.body.dataset.ready = "yes"
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties)
  for (const [key, value] of Object.entries(properties)) if (/^(aria-|role)/.test(key)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

const show = (...parts) => find("answer").replaceChildren(...parts)

const shown = label => (label[0].toUpperCase() + label.slice(1)).replaceAll("_", " ")
const percent = p => p < .005 ? "<1%" : p > .995 ? ">99%" : `${Math.round(100 * p)}%`
const danger = config.rules?.danger?.name || "venomous"
const dangerous = label => config.rules?.danger ? config.rules.danger.of[config.labels.indexOf(label)]
  : Array.isArray(config.venomous) ? config.venomous[config.labels.indexOf(label)] : config.venomous?.[label]

function bar(p) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  const box = document.createElementNS(drawing.namespaceURI, "rect")
  for (const [key, value] of Object.entries({class: "bar", "aria-hidden": "true", preserveAspectRatio: "none",
                                             viewBox: "0 0 100 1"})) drawing.setAttribute(key, value)
  for (const [key, value] of Object.entries({width: Math.max(.5, 100 * p), height: 1})) box.setAttribute(key, value)
  drawing.append(box)
  return drawing
}

const bars = (rows, className, marked) => element("ol", {className}, ...rows.map(([name, p]) => element("li", {},
  element("span", {className: "name"}, shown(name),
          ...marked && dangerous(name) ? [element("b", {className: "badge"}, danger)] : []),
  element("span", {className: "percent"}, percent(p)), bar(p))))

function words({doubt, roll_up: {rank, name}}) {
  const text = settings.words[doubt.level], values = {n: config.labels.length, rank, name: name && shown(name),
                                                      risk: `${Math.round(100 * config.rules.risk)}%`}
  return element("p", {className: `words ${doubt.level}`}, text.replace(/{(\w+)}/g, (_, key) => values[key]))
}

// the answer to what was seen last, with what the visitor told beside it
function tell() {
  if (!looked) return
  const told = [...document.querySelectorAll("#given select")].filter(one => one.value)
  const given = Object.fromEntries(told.map(one => [one.name, one.value]))
  const answer = decide(looked.logits, looked.strange, config, {given}), {genus, venomous, decision, set} = answer
  const said = [element("h2", {}, "Most probable"),
                bars(answer.top, `first${answer.doubt?.level === "stranger" ? " smaller" : ""}`, true)]
  if (answer.doubt) said.unshift(words(answer))
  if (Object.keys(genus).length)
    said.push(element("h2", {}, "Genus"), bars(Object.entries(genus).slice(0, 3), "", false))
  if (venomous !== null) said.push(element("p", {}, `${shown(danger)}, all its kinds together: `,
                                           element("b", {}, percent(venomous)),
    ". This is a guess from one picture: never handle an animal on its word."))
  if (decision?.changed) said.push(element("p", {}, "With the cost of a mistake in mind, take it for ",
                                           element("i", {}, shown(decision.label)), "."))
  if (set) said.push(element("p", {},
                             `With ${percent(set.coverage)} it is among: ${set.labels.map(shown).join(", ")}.`))
  if (looked.notes.length) said.push(element("p", {className: "note"}, looked.notes.join("; ")))
  show(...said)
}

let turn = 0
async function take(file, name = file.name || "the photo") {
  const mine = ++turn, photo = find("photo")
  find("answer").setAttribute("aria-busy", "true")
  show(element("p", {}, document.body.dataset.ready ? "Looking ..." : "Looking, as soon as the model is here ..."))
  URL.revokeObjectURL(photo.src)
  Object.assign(photo, {src: URL.createObjectURL(file), alt: `Your photo: ${name}`, hidden: false,
                        onerror: () => photo.hidden = true})
  find("hint").textContent = "Another one? Drop or paste it, or"
  const found = await ask(file)
  if (mine !== turn) return
  find("answer").removeAttribute("aria-busy")
  looked = found.error ? null : found
  if (!found.error) return tell()
  photo.hidden = true
  show(element("p", {className: "problem", role: "alert"}, `${name}: ${found.error}`))
}

for (const id of ["file", "camera"]) find(id).onchange = ({target}) => {
  if (target.files[0]) take(target.files[0])
  target.value = ""
}
for (const event of ["dragover", "dragleave", "drop"]) document.body.addEventListener(event, moved => {
  moved.preventDefault()
  find("drop").classList.toggle("over", event === "dragover")
  if (event === "drop" && moved.dataTransfer.files[0]) take(moved.dataTransfer.files[0])
})
addEventListener("paste", ({clipboardData}) => { if (clipboardData.files[0]) take(clipboardData.files[0], "pasted") })

for (const [column, {weights}] of Object.entries(config.rules?.priors || {})) {
  const choice = element("select", {name: column, onchange: tell}, element("option", {value: ""}, "not given"),
                         ...Object.keys(weights).sort().map(value => element("option", {value}, value)))
  find("given").append(element("label", {}, column, choice))
}
find("more").hidden = !settings.examples.length
find("camera-button").hidden = !navigator.maxTouchPoints
settings.examples.forEach((path, i) => {
  const picture = element("img", {src: `bundle/${path}`, alt: `Example photo ${i + 1}`, loading: "lazy"})
  find("examples").append(element("li", {}, element("button", {type: "button", onclick: async () =>
    take(await (await fetch(picture.src)).blob(), `example ${i + 1}`)}, picture)))
})

// page.html#check: does this browser answer the bundle's probes as the predictor did?
export async function check() {
  let worst = 0
  for (const {file, probabilities} of config.probes) {
    const {logits, strange, error} = await ask(await (await fetch(`bundle/${file}`)).blob())
    if (error) throw new Error(`${file}: ${error}`)
    const found = Object.values(decide(logits, strange, config).probabilities)
    worst = Math.max(worst, ...found.map((p, i) => Math.abs(p - probabilities[i])))
  }
  const good = worst < 1e-3
  show(element("p", {className: good ? "words" : "problem"},
               `${config.probes.length} probes answered; the largest difference to the predictor is ` +
    `${worst.toPrecision(2)} in probability` + (good ? "." : ": this browser prepares pictures differently.")))
  document.body.dataset.check = worst
  return worst
}
if (location.hash === "#check") check().catch(error => show(element("p", {className: "problem"}, error.message)))
