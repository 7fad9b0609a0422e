// The page in headless Chromium, as a person uses it: keyboard alone, paste, camera, upload limit, many photos, phone, dark.
//
//   node bench/page.js URL PHOTO [FOLDER] [PLAYWRIGHT]
//
// URL: a page that runs, e.g. of `the_project app BUNDLE`. PHOTO: a JPEG. FOLDER (shots): screenshots go there, to be looked at.
// PLAYWRIGHT (playwright-core): the module's folder. Chromium: $CHROMIUM, or /usr/bin/chromium. The last line counts what failed.
const [url, photo, folder = 'shots', module_ = 'playwright-core'] = process.argv.slice(2)
const fs = require('fs'), os = require('os'), path = require('path'), { chromium } = require(module_)
const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']
let failed = 0
const check = (name, ok, more = '') => { failed += !ok; console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} ${more}`) }

async function open(width, height, extra = {}) {
  const context = await chromium.launchPersistentContext(fs.mkdtempSync(path.join(os.tmpdir(), 'page-')), {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, viewport: { width, height }, args, ...extra })
  const page = context.pages()[0] || await context.newPage(), outside = [], errors = []
  page.on('request', r => { if (!/^(data|blob):/.test(r.url()) && !r.url().startsWith(url)) outside.push(r.url()) })
  page.on('console', m => { if (m.type() == 'error') errors.push(m.text()) })
  page.on('filechooser', () => {})  // from now on dialogs are told of, not opened
  page.on('pageerror', e => errors.push(String(e)))
  await page.goto(url)
  await page.waitForSelector('.answer', { timeout: 60000 })
  await page.waitForTimeout(2000)
  return { context, page, outside, errors }
}
const shot = (page, name) => page.screenshot({ path: path.join(folder, name + '.png'), fullPage: true })
const answered = page => page.waitForSelector('.answer ol li', { timeout: 60000 })
const focused = page => page.evaluate(() => { const e = document.activeElement
  return e === document.body ? '' : [e.getAttribute('aria-label'), e.innerText, e.getAttribute('title'), e.tagName].filter(Boolean).join(' ').trim() })
async function tabTo(page, words, limit = 40) {
  for (let i = 0; i < limit; i++) { if (words.test(await focused(page))) return true; await page.keyboard.press('Tab') }
  return false
}
const clear = page => page.getByLabel('Remove Image').first().click().then(() => page.waitForSelector('.answer.waiting'))

async function keyboard() {
  const { context, page } = await open(1280, 900)
  check('keyboard: an example is reached with Tab', await tabTo(page, /Example photo 2/), await focused(page))
  await page.keyboard.press('Enter')
  await answered(page)
  check('keyboard: Enter on it gives an answer', true, (await page.locator('.answer li .name').first().innerText()))
  await page.waitForTimeout(500)
  await shot(page, 'keyboard')
  await page.keyboard.press('Home')
  await page.evaluate(() => document.activeElement.blur())
  check('keyboard: the photo is removed', await tabTo(page, /Remove Image/) && await page.keyboard.press('Enter').then(() => page.waitForSelector('.answer.waiting')).then(() => true))
  await page.evaluate(() => document.activeElement.blur())
  const upload = await tabTo(page, /upload|drop an image|click to upload/i)
  const chooser = page.waitForEvent('filechooser', { timeout: 8000 }).catch(() => null)
  await page.keyboard.press('Enter')
  const files = await chooser
  check('keyboard: the file dialog opens', upload && !!files, await focused(page))
  if (files) { await files.setFiles(photo); await answered(page) }
  check('keyboard: the chosen file is answered', await page.locator('.answer ol').count() > 0)
  await page.evaluate(() => document.activeElement.blur())
  check('keyboard: the other tab is reached', await tabTo(page, /One photo/), await focused(page))
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('Enter')
  await page.waitForTimeout(800)
  let open_ = await page.getByRole('tab', { name: 'Many photos', selected: true }).count() > 0
  if (!open_) { await tabTo(page, /Many photos/, 3); await page.keyboard.press('Enter'); await page.waitForTimeout(800)
    open_ = await page.getByRole('tab', { name: 'Many photos', selected: true }).count() > 0 }
  check('keyboard: and opened', open_)
  check('keyboard: its button is reached', await tabTo(page, /Name them all/))
  await context.close()
}

async function pasteAndCamera() {
  const { context, page } = await open(1280, 900, { permissions: ['clipboard-read', 'clipboard-write', 'camera'] })
  await page.evaluate(async () => { const canvas = document.createElement('canvas'); canvas.width = canvas.height = 200
    const draw = canvas.getContext('2d'); draw.fillStyle = '#7a5'; draw.fillRect(0, 0, 200, 200); draw.fillStyle = '#521'; draw.fillRect(40, 80, 120, 30)
    const blob = await new Promise(done => canvas.toBlob(done, 'image/png')); await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]) })
  await page.getByLabel('Paste from clipboard').first().click()
  check('paste: the button takes the picture', await answered(page).then(() => true, () => false))
  await clear(page)
  await page.locator('.photo').first().click({ position: { x: 5, y: 5 } }).catch(() => {})
  await page.keyboard.press('Escape')
  await page.keyboard.press('Control+V')
  check('paste: Ctrl+V takes it', await page.waitForSelector('.answer ol li', { timeout: 8000 }).then(() => true, () => false))
  if (await page.locator('.answer ol li').count()) await clear(page)
  await page.getByLabel('Capture from camera').first().click()
  await page.waitForTimeout(1500)
  const allow = page.getByText(/click to access webcam/i)
  if (await allow.count()) { await allow.first().click(); await page.waitForTimeout(2500) }
  await shot(page, 'camera')
  await page.getByLabel(/capture photo|^capture$/i).last().click({ timeout: 8000 }).catch(error => console.log(String(error).split('\n')[0]))
  check('camera: a picture is taken and answered', await page.waitForSelector('.answer ol li', { timeout: 15000 }).then(() => true, () => false))
  await shot(page, 'camera-answer')
  await context.close()
}

async function mistakes() {
  const { context, page } = await open(1280, 900)
  const wrong = path.join(os.tmpdir(), 'holiday.jpg'), big = path.join(os.tmpdir(), 'big.jpg')
  fs.writeFileSync(wrong, '<!DOCTYPE html><html>not found</html>')
  fs.writeFileSync(big, Buffer.alloc(45 * 2 ** 20))
  const input = page.locator('input[type=file]').first()
  await input.setInputFiles(wrong)
  await page.waitForSelector('.answer.problem', { timeout: 30000 })
  check('mistake: a web page called .jpg', true, await page.locator('.answer.problem').innerText())
  await shot(page, 'mistake')
  await page.reload(); await page.waitForSelector('.answer'); await page.waitForTimeout(1500)
  await page.locator('input[type=file]').first().setInputFiles(big)
  const toast = await page.waitForSelector('.toast-body, [data-testid=toast-body]', { timeout: 30000 }).catch(() => null)
  check('mistake: a file of 45 MB', !!toast, toast ? (await toast.innerText()).replace(/\s+/g, ' ') : '')
  await shot(page, 'too-big')
  await context.close()
}

async function look(name, width, height, extra) {
  const { context, page, outside, errors } = await open(width, height, extra)
  await shot(page, name + '-0')
  await page.locator('input[type=file]').first().setInputFiles(photo)
  await answered(page)
  await page.waitForTimeout(800)
  await shot(page, name + '-1')
  await page.getByRole('tab', { name: 'Many photos' }).click()
  await page.waitForTimeout(600)
  await page.locator('input[type=file]').last().setInputFiles([photo, path.join(os.tmpdir(), 'holiday.jpg')])
  await page.waitForTimeout(2500)
  await page.getByRole('button', { name: 'Name them all' }).click()
  await page.waitForSelector('.answer.many', { timeout: 60000 })
  const button = page.getByText('Download the answers')
  await page.waitForFunction(() => [...document.querySelectorAll('a[download], button')].some(e => /Download the answers/.test(e.innerText) && !e.disabled), null, { timeout: 30000 })
  await page.waitForTimeout(500)
  await shot(page, name + '-2')
  const [file] = await Promise.all([page.waitForEvent('download', { timeout: 30000 }), button.click()])
  const rows = fs.readFileSync(await file.path(), 'utf8').trim().split('\r\n')
  check(`${name}: a CSV of two photos`, file.suggestedFilename() == 'answers.csv' && rows.length == 3, rows[2])
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
  check(`${name}: nothing is wider than the screen`, wide <= seen, `${wide} of ${seen}`)
  check(`${name}: nothing is loaded from elsewhere`, outside.length == 0, outside.slice(0, 3))
  check(`${name}: no errors in the console`, errors.length == 0, errors.slice(0, 3))
  const mute = await page.evaluate(() => [...document.querySelectorAll('button, input, img, a')].filter(e => e.offsetParent &&
    !(e.getAttribute('aria-label') || e.getAttribute('alt') || e.getAttribute('title') || e.innerText.trim() || e.labels?.length)).map(e => e.outerHTML.slice(0, 120)))
  check(`${name}: every button and picture has a name`, mute.length == 0, mute)
  await context.close()
}

(async () => {
  fs.mkdirSync(folder, { recursive: true })
  await mistakes()
  await keyboard()
  await pasteAndCamera()
  await look('desk', 1280, 900, {})
  await look('phone', 390, 844, { isMobile: true, hasTouch: true, deviceScaleFactor: 2 })
  await look('dark', 1280, 900, { colorScheme: 'dark' })
  console.log(`${failed} failed`)
  process.exit(failed ? 1 : 0)
})().catch(error => { console.error(error); process.exit(1) })
