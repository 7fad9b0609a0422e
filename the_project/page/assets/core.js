const sinc = x => x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)
const cubic = x => x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((x - 5) * x + 8) * x * -.5 + 2 : 0
const FILTERS = {
  box: [.5, x => x > -.5 && x <= .5 ? 1 : 0],
  bilinear: [1, x => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, x => Math.abs(x) >= 1 ? 0 : sinc(x) * (.54 + .46 * Math.cos(Math.PI * x))],
  bicubic: [2, x => cubic(Math.abs(x))],
  lanczos: [3, x => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0] }

// for each output pixel of a line: where its window starts and its weights, in units of 2**-22
function weights(length, from, to, size, [reach, filter]) {
  from = Math.fround(from), to = Math.fround(to)
  const scale = Math.fround(to - from) / size, wide = Math.max(scale, 1), support = reach * wide, lines = []
  for (let i = 0; i < size; i++) {
    const centre = from + (i + .5) * scale
    const first = Math.max(0, Math.trunc(centre - support + .5))
    const last = Math.min(length, Math.trunc(centre + support + .5))
    const parts = Array.from({length: last - first}, (_, k) => filter((k + first - centre + .5) * (1 / wide)))
    let total = 0
    for (const part of parts) total += part
    lines.push([first, Int32Array.from(parts, part => {
      const fixed = (total ? part / total : part) * 4194304
      return Math.trunc(fixed < 0 ? fixed - .5 : fixed + .5) })])
  }
  return lines
}

// along one axis: `count` lines of pixels that lie `step` apart, the lines themselves `next` apart
function pass(source, target, lines, count, channels, [step, next], [toStep, toNext]) {
  for (let line = 0; line < count; line++) for (let i = 0; i < lines.length; i++) {
    const [first, kernel] = lines[i]
    for (let c = 0; c < channels; c++) {
      let sum = 2097152, at = line * next + first * step + c
      for (let k = 0; k < kernel.length; k++, at += step) sum = (sum + Math.imul(source[at], kernel[k])) | 0
      target[line * toNext + i * toStep + c] = Math.min(255, Math.max(0, sum >> 22))
    }
  }
}

// picture {data: uint8 rows x columns x channels, width, height, channels}; box [left, top, right, bottom] in pixels
export function resize(picture, width, height, box, interpolation) {
  const filter = FILTERS[interpolation], {channels} = picture
  let {data} = picture, rows = picture.height, columns = picture.width
  if (columns !== width || box[0] || box[2] !== width) {
    const target = new Uint8Array(rows * width * channels)
    pass(data, target, weights(columns, box[0], box[2], width, filter), rows, channels,
         [channels, columns * channels], [channels, width * channels])
    data = target
  }
  if (rows !== height || box[1] || box[3] !== height) {
    const target = new Uint8Array(height * width * channels)
    pass(data, target, weights(rows, box[1], box[3], height, filter), width, channels,
         [width * channels, channels], [width * channels, channels])
    data = target
  }
  return {data, width, height, channels}
}

// by how much `open_picture` would reduce a JPEG of this size
export function reduction(width, height, size) {
  return [8, 4, 2].find(factor => Math.min(width, height) / factor >= 2 * Math.max(...size)) || 1
}

// where blocks of `factor` begin and end along a side that is counted from its other end
function blocks(length, factor, reversed) {
  const edges = [0]
  for (let at = reversed ? (length % factor || factor) : factor; at < length; at += factor) edges.push(at)
  return [...edges, length]
}

// RGBA pixels (an opaque canvas) as RGB, each block of factor x factor as its mean
export function reduce(rgba, width, height, factor, fromRight = false, fromBottom = false) {
  const across = blocks(width, factor, fromRight), down = blocks(height, factor, fromBottom)
  const columns = across.length - 1, rows = down.length - 1, data = new Uint8Array(columns * rows * 3)
  for (let row = 0, at = 0; row < rows; row++) for (let column = 0; column < columns; column++, at += 3) {
    let red = 0, green = 0, blue = 0
    for (let y = down[row]; y < down[row + 1]; y++)
      for (let i = (y * width + across[column]) * 4, end = (y * width + across[column + 1]) * 4; i < end; i += 4)
        red += rgba[i], green += rgba[i + 1], blue += rgba[i + 2]
    const n = (down[row + 1] - down[row]) * (across[column + 1] - across[column])
    data[at] = red / n + .5, data[at + 1] = green / n + .5, data[at + 2] = blue / n + .5
  }
  return {data, width: columns, height: rows, channels: 3}
}

export const isJpeg = bytes => bytes[0] === 0xFF && bytes[1] === 0xD8 && bytes[2] === 0xFF

// 1 .. 8 as EXIF counts; 1 where a JPEG says nothing, or nonsense
export function orientation(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const inside = at => isJpeg(bytes) && at + 4 < bytes.length && bytes[at] === 0xFF && bytes[at + 1] !== 0xDA
  for (let at = 2; inside(at); at += 2 + view.getUint16(at + 2)) {
    if (bytes[at + 1] !== 0xE1 || view.getUint32(at + 4) !== 0x45786966) continue
    const tiff = at + 10, little = view.getUint16(tiff) === 0x4949
    const directory = tiff + view.getUint32(tiff + 4, little), count = view.getUint16(directory, little)
    for (let entry = directory + 2; entry < directory + 2 + 12 * count; entry += 12)
      if (view.getUint16(entry, little) === 0x0112) return view.getUint16(entry + 8, little) || 1
    return 1
  }
  return 1
}

const starts = (bytes, text) => [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0))
const holds = (bytes, text, at) => starts(bytes.subarray(at), text)

// false for a JPEG or PNG that was cut: its end mark is missing
export function isWhole(bytes) {
  const jpeg = isJpeg(bytes)
  if (!jpeg && !starts(bytes, "\x89PNG")) return true
  let at = 2
  const marker = at => at + 4 < bytes.length && bytes[at] === 0xFF && bytes[at + 1] !== 0xDA
  while (jpeg && marker(at)) at += 2 + bytes[at + 2] * 256 + bytes[at + 3]
  for (let end = bytes.length - (jpeg ? 2 : 8); end >= at; end--)
    if (jpeg ? bytes[end] === 0xFF && bytes[end + 1] === 0xD9 : holds(bytes, "IEND", end)) return true
  return false
}

const KNOWN = [
  ["\x89PNG", "a PNG that is damaged: copy or download it again"],
  ["GIF8", "a GIF that is damaged: copy or download it again"],
  ["<svg", "an SVG drawing: save it as PNG"], ["<?xml", "an XML file (an SVG drawing?): save it as PNG"],
  ["<!doctype html", "a web page: download the picture itself"], ["<html", "a web page: download the picture itself"],
  ["%pdf", "a PDF: save its page as PNG"], ["pk\x03\x04", "a zip archive: unpack it first"]]

// why a file could not be shown, from its bytes
export function whatIsIt(bytes) {
  if (!bytes.length) return "the file is empty: copy or download it again"
  if (isJpeg(bytes)) return "a JPEG that is damaged: copy or download it again"
  if (holds(bytes, "ftyp", 4)) return "a HEIC or AVIF photo, or a video, that this browser can't read: save it as JPEG"
  const text = String.fromCharCode(...bytes.subarray(0, 64)), lower = text.trimStart().toLowerCase()
  if (!text.replaceAll("\0", "")) return "only zero bytes, a failed copy: copy it again"
  const found = KNOWN.find(([start]) => lower.startsWith(start.toLowerCase()))
  return found ? found[1] : "not a picture of a kind that this browser reads: save it as JPEG or PNG"
}

const evenly = x => Math.abs(x % 1) === .5 ? 2 * Math.round(x / 2) : Math.round(x)  // as Python rounds

function centre([w, h], height, width) {
  const scale = Math.min(w / width, h / height), inner = [Math.min(width * scale, w), Math.min(height * scale, h)]
  const left = (w - inner[0]) / 2, top = (h - inner[1]) / 2
  return [left, top, Math.min(left + inner[0], w), Math.min(top + inner[1], h)]
}

function padded(picture, [w, h], {size: [height, width], mean, interpolation}) {
  const scale = Math.min(width / w, height / h), {channels} = picture
  const inner = [Math.max(1, evenly(w * scale)), Math.max(1, evenly(h * scale))]
  const small = resize(picture, ...inner, [0, 0, w, h], interpolation), ground = mean.map(m => evenly(255 * m))
  const data = new Uint8Array(height * width * channels).map((_, i) => ground[i % channels])
  const left = Math.floor((width - inner[0]) / 2), top = Math.floor((height - inner[1]) / 2)
  for (let y = 0; y < inner[1]; y++)
    data.set(small.data.subarray(y * inner[0] * channels, (y + 1) * inner[0] * channels),
             ((y + top) * width + left) * channels)
  return {data, width, height, channels}
}

function grey({data, width, height}) {
  const one = new Uint8Array(width * height)
  for (let i = 0, at = 0; i < one.length; i++, at += 3)
    one[i] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 32768) >> 16
  return {data: one, width, height, channels: 1}
}

// the geometric half, as `prepare_uint8`
export function prepareBytes(picture, preprocess, extent = [picture.width, picture.height]) {
  const {size: [height, width], fit, interpolation} = preprocess
  if (preprocess.channels === 1) picture = grey(picture)
  if (fit === "pad") return padded(picture, extent, preprocess)
  return resize(picture, width, height, fit === "crop" ? centre(extent, height, width) : [0, 0, ...extent],
                interpolation)
}

// float32, channels first, as `normalise`
export function normalise({data, channels}, {mean, std}) {
  const out = new Float32Array(data.length), plane = data.length / channels, f = Math.fround
  for (let c = 0; c < channels; c++) {
    const table = Float32Array.from({length: 256}, (_, v) => f(f(f(v / 255) - f(mean[c])) / f(std[c])))
    for (let i = 0; i < plane; i++) out[c * plane + i] = table[data[i * channels + c]]
  }
  return out
}

const add = numbers => numbers.reduce((a, b) => a + b, 0)
const share = numbers => { const total = add(numbers); return numbers.map(x => x / total) }

export function softmax(logits, temperature = 1) {
  const scaled = Array.from(logits, y => y / temperature), top = scaled.reduce((a, b) => Math.max(a, b))
  return share(scaled.map(y => Math.exp(y - top)))
}

// what the visitor told (`given`: column -> value) and the labels that may be answered (null: all)
function weigh(p, {labels, rules}, given, subset) {
  for (const [column, value] of Object.entries(given)) {
    const {weights, strength} = rules.priors[column]
    p = share(p.map((x, i) => x * weights[value][i] ** strength))
  }
  return subset ? share(p.map((x, i) => subset.includes(labels[i]) ? Math.max(x, 1e-30) : 0)) : p
}

const inOrder = p => p.map((_, i) => i).sort((a, b) => p[b] - p[a])

// sums of p over equal names, largest first; those that are equal in the order of their first label
function group(p, names) {
  const sums = new Map()
  names.forEach((name, i) => sums.set(name, (sums.get(name) || 0) + p[i]))
  return [...sums].sort((a, b) => b[1] - a[1])
}

function rollUp(p, labels, ranks) {
  for (const {name: rank, of = labels, threshold} of ranks) {
    const [name, probability] = group(p, of)[0]
    if (threshold !== null && probability >= threshold) return {rank, name, probability}
  }
  return {rank: null, name: null, probability: null}
}

// the share of known pictures that look less strange: numpy.interp over the quantiles
function standing(s, quantiles) {
  const last = quantiles.length - 1
  if (s < quantiles[0]) return 0
  if (s >= quantiles[last]) return 1
  const i = quantiles.findIndex(q => q > s) - 1
  return (i + (s - quantiles[i]) / (quantiles[i + 1] - quantiles[i])) / last
}

function likely(p, order, {method, threshold, penalty = 0, free = 0}) {
  let running = 0
  return order.filter((i, place) => {
    running += p[i]
    const score = running + penalty * Math.max(0, place + 1 - free)
    const inside = method === "lac" ? 1 - p[i] <= threshold : score <= threshold
    return place === 0 || (inside && p[i] > 0)
  })
}

// the label of least expected cost, among `allowed`; ties go to the more probable
function cheapest(p, order, allowed, {costs, danger}) {
  const V = danger ? add(p.filter((_, i) => danger.of[i])) : 0, H = 1 - V, c = danger && danger.costs
  const cost = j => costs ? add(p.map((x, i) => x * costs[i][j]))
    : danger.of[j] ? c.alarm * H + c.dangerous * (V - p[j]) : c.harmless * (H - p[j]) + c.miss * V
  return order.filter(j => allowed[j]).map(j => [j, cost(j)]).reduce((best, next) => next[1] < best[1] ? next : best)
}

const COSTS = {harmless: 1, alarm: 2, dangerous: 2, miss: 5}

function dangerOf({labels, rules, venomous}) {
  if (rules && rules.danger) return rules.danger
  if (!venomous) return null
  return {name: "venomous", of: Array.isArray(venomous) ? venomous : labels.map(label => venomous[label]), costs: COSTS}
}

// logits and (where the model gives it) strangeness of one picture -> the answer, with the keys of `Predictor.predict`
export function decide(logits, strange, config, {given = {}, subset = null, k = 3} = {}) {
  const {labels, rules} = config, danger = dangerOf(config), seen = softmax(logits, config.temperature)
  const p = weigh(seen, config, given, subset), order = inOrder(p), say = i => labels[i]
  const answer = {given, subset, top: order.filter(i => !subset || subset.includes(labels[i])).slice(0, k).map(i => [labels[i], p[i]]),
    probabilities: Object.fromEntries(labels.map((label, i) => [label, p[i]])),
    genus: config.genus ? Object.fromEntries(group(p, config.genus)) : {},
    roll_up: {rank: null, name: null, probability: null}, doubt: null, set: null,
    venomous: danger ? add(p.filter((_, i) => danger.of[i])) : null, decision: null}
  if (danger || (rules && rules.costs)) {
    const [j, cost] = cheapest(p, order, labels.map(label => !subset || subset.includes(label)),
                               {costs: rules && rules.costs, danger})
    answer.decision = {label: say(j), cost, venomous: danger ? danger.of[j] : null, changed: j !== order[0]}
  }
  if (!rules) return answer
  answer.roll_up = rollUp(p, labels, rules.ranks || [])
  if (rules.set) answer.set = {labels: likely(p, order, rules.set).map(say), coverage: rules.set.coverage}
  return {...answer, doubt: doubt(answer, seen, strange, rules)}
}

function doubt({roll_up, top}, seen, strange, {stranger}) {
  const s = !stranger ? null : stranger.score === "probability" ? 1 - Math.max(...seen) : strange
  const level = s !== null && s > stranger.threshold ? "stranger"
    : roll_up.rank === "label" ? "sure" : roll_up.rank ? "rank" : "unsure"
  return {level, wrong: 1 - top[0][1], strange: s === null ? null : standing(s, stranger.quantiles)}
}
