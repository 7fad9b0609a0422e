import * as core from "./core.js"

const here = path => new URL(path, import.meta.url).href
const say = (id, message, ...rest) => postMessage({id, ...message}, ...rest)
let session, settings, loading

// a file of the page, from the browser's cache if it is there; `integrity` refuses any other content
async function whole(url, integrity, progress = () => {}) {
  // private windows have none
  const cache = await self.caches?.open(settings.version).catch(() => null), kept = await cache?.match(url)
  const response = kept || await fetch(url, {integrity}).catch(() => {
    throw new Error(`${url} can't be reached, or is not the file that was published: try again later`) })
  if (!response.ok) throw new Error(`${url} can't be loaded (${response.status}): try again later`)
  const parts = [], reader = response.body.getReader()
  for (let part = await reader.read(), size = 0; !part.done; part = await reader.read())
    parts.push(part.value), progress(size += part.value.length)
  const blob = new Blob(parts, {type: response.headers.get("Content-Type") || "application/octet-stream"})
  // full disk: the page works, not offline
  if (cache && !kept) await cache.put(url, new Response(blob, {headers: {"Content-Type": blob.type}})).catch(() => {})
  return blob
}

async function load() {
  settings = await (await fetch(here("page.json"))).json()
  const {runtime, config, sizes} = settings, total = Object.values(sizes).reduce((a, b) => a + b, 0), done = {}
  const part = (name, url, integrity) => whole(url, integrity, size => {
    done[name] = size
    say(0, {progress: Object.values(done).reduce((a, b) => a + b, 0) / total}) })
  const [script, wasm, model] = await Promise.all([
    ...[".mjs", ".wasm"].map(end => Object.keys(runtime.files).find(name => name.endsWith(end))).map(name =>
      part(name, new URL(name, here(runtime.base)).href, runtime.files[name])),
    part("model", here(`bundle/${settings.model}`), settings.integrity)])
  const address = URL.createObjectURL(new Blob([script], {type: "text/javascript"})), ort = await import(address)
  URL.revokeObjectURL(address)
  Object.assign(ort.env.wasm, {numThreads: 1, wasmBinary: await wasm.arrayBuffer()})
  session = await ort.InferenceSession.create(await model.arrayBuffer(),
                                              {executionProviders: ["wasm"], logSeverityLevel: 3})
  const {size: [height, width], channels} = config.preprocess
  const wanted = session.outputNames.filter(name => name === "y" || name === "strange")
  const run = async x => await session.run({x: new ort.Tensor("float32", x, [1, channels, height, width])}, wanted)
  await run(new Float32Array(channels * height * width))
  return run
}

const LIMIT = 120e6  // pixels

// RGB pixels of a decoded photo, reduced by `factor`, strip by strip
function pixels(bitmap, factor, turn) {
  const {width, height} = bitmap, fromRight = [2, 3, 6, 7].includes(turn), fromBottom = [3, 4, 7, 8].includes(turn)
  const step = Math.max(1, Math.floor(2e6 / width / factor)) * factor, parts = []
  const canvas = new OffscreenCanvas(width, Math.min(height, step + factor))
  const context = canvas.getContext("2d", {willReadFrequently: true, alpha: false})
  for (let top = 0, rows; top < height; top += rows) {
    rows = Math.min(height - top, top === 0 && fromBottom ? height % factor + step : step)
    context.fillStyle = "#fff"
    context.fillRect(0, 0, width, rows)
    context.drawImage(bitmap, 0, -top)
    parts.push(core.reduce(context.getImageData(0, 0, width, rows).data, width, rows, factor, fromRight, fromBottom))
  }
  const picture = {data: new Uint8Array(parts.reduce((n, part) => n + part.data.length, 0)), width: parts[0].width,
                   height: 0, channels: 3}
  for (const part of parts)
    picture.data.set(part.data, picture.height * picture.width * 3), picture.height += part.height
  return picture
}

async function look(file) {
  const bytes = new Uint8Array(await file.arrayBuffer()), turn = core.orientation(bytes), {preprocess} = settings.config
  const plainly = {colorSpaceConversion: "none", premultiplyAlpha: "none"}
  const bitmap = core.isWhole(bytes) && await createImageBitmap(file, plainly).catch(() => null)
  if (!bitmap) throw new Error(core.whatIsIt(bytes))
  const {width, height} = bitmap, factor = core.isJpeg(bytes) ? core.reduction(width, height, preprocess.size) : 1
  if (width * height > LIMIT)
    throw new Error(`${width} x ${height} pixels are too many, the limit is ${LIMIT / 1e6} million: shrink it first`)
  const picture = pixels(bitmap, factor, turn)
  bitmap.close()
  const small = core.prepareBytes(picture, preprocess, [width / factor, height / factor])
  const found = await (await loading)(core.normalise(small, preprocess))
  return {logits: [...found.y.data], strange: found.strange ? found.strange.data[0] : null,
          notes: turn > 1 ? ["turned upright by its EXIF orientation"] : []}
}

loading = load()
loading.then(() => say(0, {ready: true}), error => say(0, {error: `The model can't be loaded: ${error.message}`}))
onmessage = async ({data: {id, file}}) => {
  try { await loading } catch { return }  // told already
  try { say(id, await look(file)) } catch (error) { say(id, {error: error.message}) }
}
