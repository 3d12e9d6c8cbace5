// The dashboard: snapshots and changes over each transport, a page that was slow or away, and what one visitor is told.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'

import { startBrowser } from './browser.mjs'
import { DashboardPage } from './dashboard-page.mjs'
import { Gate } from './gate.mjs'
import { startDashboard, within } from './processes.mjs'

let browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

const PRODUCTS = 500

/** Messages that a page misses while it is away: several for each product. */
const MISSED = 4 * PRODUCTS

// What each transport asks the server for, and nothing else.
const ENDPOINTS = { ws: ['ws'], sse: ['sse'], poll: ['poll'] }

for (const [transport, endpoints] of Object.entries(ENDPOINTS)) {
  test(`over ${transport} the first paint is the whole snapshot, and changes follow`, async (t) => {
    const url = await startDashboard(t)
    const dashboard = await DashboardPage.open(t, browser, url, { transport, first: recordRows })
    const counts = await dashboard.page.evaluate(() => globalThis.counts)
    assert.deepEqual(counts, [PRODUCTS])
    await dashboard.page.waitForFunction(() => {
      const values = [...document.querySelectorAll('[data-testid="tile"] .value')]
      return values.length === 9 && values.every(({ textContent }) => /\d/.test(textContent))
    })
    await dashboard.changes(1000)
    assert.deepEqual(dashboard.endpoints, endpoints)
  })

  test(`over ${transport} a page that was cut off skips what was replaced meanwhile`, async (t) => {
    const url = await startDashboard(t)
    const gate = await Gate.before(t, url)
    const { page } = await DashboardPage.open(t, browser, gate.url, { transport })
    await page.evaluate(follow, transport)
    gate.shut()
    const { head, sold } = await afterMessages(url, MISSED)
    gate.open()

    await page.waitForFunction(caughtUp, sold)
    const { messages, advanced } = await within(page.evaluate(passed, head), 'what was missed')
    assert.ok(advanced >= MISSED, `${advanced}`)
    // Some products change again while they are read, and are then told twice.
    assert.ok(messages < advanced / 2, `${messages} of ${advanced}`)
  })
}

// By polling, since what a socket's buffers hold has been sent: some MB, which is half a minute of this shop.
test('a tab that stood still is told how things stand, not what they went through', async (t) => {
  const url = await startDashboard(t)
  const { page } = await DashboardPage.open(t, browser, url, { transport: 'poll' })
  await page.evaluate(follow, 'poll')
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Debugger.enable')
  const stopped = once(cdp, 'Debugger.paused')
  await cdp.send('Debugger.pause')
  await stopped
  const { head, sold } = await afterMessages(url, MISSED)
  await cdp.send('Debugger.resume')

  await page.waitForFunction(caughtUp, sold)
  const { messages, advanced } = await within(page.evaluate(passed, head), 'what was missed')
  assert.ok(advanced >= MISSED, `${advanced}`)
  assert.ok(messages < advanced / 2, `${messages} of ${advanced}`)
})

test('rows stay the elements that they are, and a busy tab writes each once a frame', async (t) => {
  const url = await startDashboard(t)
  const dashboard = await DashboardPage.open(t, browser, url)
  const written = await dashboard.page.evaluate(async () => {
    const rows = document.getElementById('rows')
    const seen = { remade: 0, writes: 0, most: 0 }
    let written = new Map()
    // Asked for so early that in each frame it comes before what paints.
    const beginFrame = () => {
      written = new Map()
      requestAnimationFrame(beginFrame)
    }
    beginFrame()
    await new Promise((resolve) => {
      const observer = new MutationObserver((records) => {
        for (const { type, target } of records) {
          if (type === 'childList') seen.remade += 1
          const times = (written.get(target) ?? 0) + 1
          written.set(target, times)
          seen.writes += 1
          seen.most = Math.max(seen.most, times)
        }
        if (seen.writes < 5000) return
        observer.disconnect()
        resolve()
      })
      observer.observe(rows, { subtree: true, childList: true, characterData: true })
      // Ten batches come meanwhile, with the same favourites in each.
      const free = performance.now() + 1000
      while (performance.now() < free);
    })
    return { ...seen, rows: rows.childElementCount }
  })
  assert.equal(written.rows, PRODUCTS)
  assert.equal(written.remade, 0)
  assert.equal(written.most, 1)
})

test('a notification that was missed arrives on return, and none arrives twice', async (t) => {
  const url = await startDashboard(t)
  const gate = await Gate.before(t, url)
  const dashboard = await DashboardPage.open(t, browser, gate.url)
  const visitor = await dashboard.visitor()
  const notify = async (text) => {
    const response = await fetch(`${url}/notify`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ visitor, text }),
    })
    assert.equal(response.status, 202)
  }
  await notify('first')
  await dashboard.notice('first')
  gate.shut()
  await dashboard.disconnected()
  await notify('missed')
  await notify('missed too')
  gate.open()
  await dashboard.notice('missed too')
  await notify('last')
  await dashboard.notice('last')
  assert.deepEqual(await dashboard.notices(), ['last', 'missed too', 'missed', 'first'])
})

test('an order is told about step by step, and after a reload again', async (t) => {
  const { page } = await DashboardPage.open(t, browser, await startDashboard(t))
  await page.getByTestId('order').click()
  const stages = () => page.getByTestId('notice').evaluateAll((items) => items.map(({ dataset }) => dataset.kind))
  await page.locator('[data-testid="notice"][data-kind="shipped"]').waitFor()
  assert.deepEqual(await stages(), ['shipped', 'packed', 'received'])
  await page.reload()
  await page.locator('[data-testid="notice"][data-kind="shipped"]').waitFor()
  assert.deepEqual(await stages(), ['shipped', 'packed', 'received'])
})

test('a long job goes on through a reload and in a second window', async (t) => {
  const { page } = await DashboardPage.open(t, browser, await startDashboard(t))
  await page.getByTestId('start-job').click()
  const progress = page.getByTestId('job').getByRole('progressbar', { name: 'Stocktaking' })
  await progress.waitFor()
  await page.reload()
  const second = await page.context().newPage()
  await second.goto(page.url())
  for (const window of [page, second]) {
    await window.locator('[data-testid="job"][data-state="done"]').waitFor()
    assert.match(await window.locator('.job-text').textContent(), /^\d+ pieces, worth €[\d,.]+$/)
    assert.equal(await window.locator('progress').evaluate(({ position }) => position), 1)
  }
})

test('a server that began anew is shown as it is, and has signed the page out', async (t) => {
  const gate = await Gate.before(t, await startDashboard(t))
  const dashboard = await DashboardPage.open(t, browser, gate.url)
  gate.shut()
  await dashboard.disconnected()
  gate.lead(await startDashboard(t))
  gate.open()
  await dashboard.connected()
  await dashboard.changes(500)
  const notice = dashboard.page.getByRole('alert')
  await notice.getByRole('button', { name: 'Reload' }).click()
  await dashboard.page.locator('tbody tr').first().waitFor()
  await dashboard.page.getByTestId('order').click()
  await dashboard.page.locator('[data-testid="notice"][data-kind="received"]').waitFor()
  assert.equal(await notice.count(), 0)
})

test('the keyboard searches and sorts', async (t) => {
  const { page } = await DashboardPage.open(t, browser, await startDashboard(t))
  await page.keyboard.press('/')
  assert.ok(await page.getByTestId('search').evaluate((field) => field === document.activeElement))
  await page.keyboard.type('espresso')
  const shown = page.locator('tbody tr:visible .name span')
  await page.getByRole('status').getByText('5 of 500').waitFor()
  assert.equal(await shown.count(), 5)

  await page.getByRole('button', { name: 'Product' }).focus()
  await page.keyboard.press('Enter')
  const head = page.getByRole('columnheader', { name: 'Product' })
  assert.equal(await head.getAttribute('aria-sort'), 'ascending')
  const rows = page.locator('tbody tr:visible')
  const places = await rows.evaluateAll((rows) =>
    rows
      .map((row) => [row.getBoundingClientRect().top, row.querySelector('.name span').textContent])
      .sort(([one], [other]) => one - other)
      .map(([, name]) => name),
  )
  assert.deepEqual(places, ['Alder', 'Brook', 'Cove', 'Dune', 'Elm'].map((maker) => `Espresso beans, ${maker}`))
})

test('on a phone nothing is cut off, by night it is dark, and for who wants calm nothing moves', async (t) => {
  const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
  const options = { ...phone, colorScheme: 'dark', reducedMotion: 'reduce' }
  const dashboard = await DashboardPage.open(t, browser, await startDashboard(t), options)
  await dashboard.changes(500)
  const seen = await dashboard.page.evaluate(() => ({
    width: document.documentElement.scrollWidth,
    moving: document.getAnimations().length,
    ground: getComputedStyle(document.body).backgroundColor,
  }))
  assert.equal(seen.width, 390)
  assert.equal(seen.moving, 0)
  const [red] = seen.ground.match(/\d+/)
  assert.ok(Number(red) < 64, seen.ground)
})

// In the page, before its own scripts: how many rows there are whenever that changes.
function recordRows() {
  globalThis.counts = []
  addEventListener('DOMContentLoaded', () => {
    const rows = document.getElementById('rows')
    new MutationObserver(() => globalThis.counts.push(rows.childElementCount)).observe(rows, { childList: true })
  })
}

// In the page: notes the seqs of what another client is told, as the page's own is; resolves with the first after the
// snapshot.
async function follow(transport) {
  const { Tricast } = await import('/rt/client.js')
  const products = new Tricast('/rt', { transports: [transport] }).channel('products')
  await new Promise((resolve) => products.on('live', resolve))
  globalThis.seqs = []
  await new Promise((resolve) => {
    globalThis.onSeq = resolve
    products.on('message', ({ seq }) => {
      globalThis.seqs.push(seq)
      globalThis.onSeq(seq)
    })
  })
}

// In the page: once that client is past `head`, how many messages brought it there, and over how many seqs.
async function passed(head) {
  const { seqs } = globalThis
  if (!(seqs.at(-1) >= head)) {
    await new Promise((resolve) => {
      globalThis.onSeq = (seq) => seq >= head && resolve()
    })
  }
  return { messages: seqs.filter((seq) => seq <= head).length, advanced: head - seqs[0] }
}

// In the page: whether each row shows at least so many pieces sold.
function caughtUp(sold) {
  return Object.entries(sold).every(([key, pieces]) => {
    const cell = document.querySelector(`tr[data-key="${key}"] .sold`)
    return Number(cell.textContent.replaceAll(',', '')) >= pieces
  })
}

// Waits until the products have so many messages more; gives the seq that they have come to, and what is sold then.
async function afterMessages(url, count) {
  const read = async (query) => {
    const response = await fetch(`${url}/rt/poll?channel=products&${query}`)
    return response.json()
  }
  let { cursor } = await read('from=latest&wait=0')
  const until = seqOf(cursor) + count
  while (seqOf(cursor) < until) ({ cursor } = await read(`cursor=${cursor}`))
  const { events } = await read('from=earliest&wait=0')
  const messages = events.filter(({ type }) => type === 'message')
  return { head: seqOf(cursor), sold: Object.fromEntries(messages.map(({ key, data }) => [key, data.sold])) }
}

function seqOf(position) {
  return Number(position.split('-')[1])
}
