// One body of tests, in Chromium and in Node: whatever a network does, every message comes once and in order, and the client
// ends up on the best transport that delivers.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { startBrowser } from './browser.mjs'
import { drive, inNode, inPage, OPTIONS, sequence, startPublisher } from './driver.mjs'
import { startChat, within } from './processes.mjs'
import { startUnruly } from './unruly.mjs'

let browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

const SHAPES = {
  'everything passes': { rules: {}, ends: 'ws', browser: ['ws'], node: ['ws?', 'sse'] },
  'the upgrade is refused': { rules: { ws: 'refuse' }, ends: 'sse', browser: ['ws?', 'sse'] },
  'the upgrade hangs': { rules: { ws: 'hang' }, ends: 'sse', browser: ['ws?', 'sse'] },
  'the WebSocket opens and stays mute': { rules: { ws: 'mute' }, ends: 'sse', browser: ['ws?', 'sse'] },
  'the WebSocket dies within half a second': { rules: { ws: { cut: 300 } }, ends: 'sse', browser: ['ws', 'ws', 'ws', 'sse'], node: ['ws?', 'sse'] },
  'the stream is buffered': { rules: { ws: 'refuse', sse: 'mute' }, ends: 'poll', browser: ['ws?', 'sse?', 'poll'] },
  'the stream is cut every two seconds': {
    rules: { ws: 'refuse', sse: { cut: 2000 } },
    ends: 'poll',
    browser: ['ws?', 'sse', 'sse', 'sse', 'ws?', 'poll'],
  },
  'POSTs go nowhere': { rules: { POST: 'hang' }, ends: 'ws', browser: ['ws'], node: null },
}

describe('a network that', () => {
  for (const [name, { rules, ends, browser: inBrowser, node = inBrowser }] of Object.entries(SHAPES)) {
    for (const [where, expected] of [['Chromium', inBrowser], ['Node', node]]) {
      if (!expected) continue
      test(`${name}: ${where}`, async (t) => {
        const upstream = await startChat(t)
        const front = await startUnruly(t, upstream, rules)
        const publisher = startPublisher(t, upstream)
        const client = where === 'Node' ? await inNode(t, front.url, OPTIONS) : await inPage(t, browser, front.url, OPTIONS)
        const last = where === 'Node' && ends === 'ws' ? 'sse' : ends
        await client.on(last)
        const sent = await publisher.end()
        await client.until('end')
        assert.deepEqual(await client.seen(), sent)
        assert.deepEqual(sequence(await client.report()), expected)
        assert.equal((await client.report()).gaps, 0)
      })
    }
  }
})

test('where everything is down nobody is blamed, and the best comes back', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream, { ws: 'refuse', sse: 'refuse', poll: 'refuse' })
  const client = await inPage(t, browser, front.url, OPTIONS)
  const publisher = startPublisher(t, upstream)
  await within(client.page.evaluate(() => new Promise((resolve) => globalThis.driver.rt.on('state', ({ status }) => status === 'waiting' && resolve()))), 'a wait')
  for (const name of ['ws', 'sse', 'poll']) delete front.rules[name]
  await client.on('ws')
  const sent = await publisher.end()
  await client.until('end')
  assert.deepEqual(await client.seen(), sent)
})

test('healthy connections that end soon cost no transport', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream)
  const client = await inPage(t, browser, front.url, OPTIONS)
  const publisher = startPublisher(t, upstream)
  for (let n = 0; n < 2; n += 1) {
    await client.on('ws')
    // Listened for before the cut: the page may notice it before it is asked anything else.
    await client.page.evaluate(() => {
      globalThis.reconnecting = new Promise((resolve) => globalThis.driver.rt.on('state', ({ status }) => status === 'connecting' && resolve()))
    })
    front.cut()
    await within(client.page.evaluate(() => globalThis.reconnecting), 'a reconnect')
  }
  await client.on('ws')
  const sent = await publisher.end()
  await client.until('end')
  assert.deepEqual(await client.seen(), sent)
  assert.deepEqual([...new Set(sequence(await client.report()))], ['ws'])
})

test('a first connection that is slower than the patience succeeds with more of it', async (t) => {
  const upstream = await startChat(t)
  const late = { late: 1500 }
  const front = await startUnruly(t, upstream, { ws: late, sse: late, poll: late })
  const client = await inPage(t, browser, front.url, OPTIONS)
  const publisher = startPublisher(t, upstream)
  await client.on('ws')
  const sent = await publisher.end()
  await client.until('end')
  assert.deepEqual(await client.seen(), sent)
  assert.deepEqual(sequence(await client.report()), ['ws?', 'sse?', 'poll?', 'ws'])
})

for (const [from, rules] of [['sse', { ws: 'refuse' }], ['poll', { ws: 'refuse', sse: 'refuse' }]]) {
  test(`from ${from} it climbs back to a WebSocket, and nothing is lost or repeated`, async (t) => {
    const upstream = await startChat(t)
    const front = await startUnruly(t, upstream, rules)
    const publisher = startPublisher(t, upstream)
    const client = await inPage(t, browser, front.url, OPTIONS)
    await client.on(from)
    delete front.rules.ws
    await client.fire('online')
    await client.on('ws')
    const sent = await publisher.end()
    await client.until('end')
    assert.deepEqual(await client.seen(), sent)
    assert.equal((await client.report()).faults, 0)
  })
}

test('what worked is begun with after a reload', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream, { ws: 'refuse' })
  const client = await inPage(t, browser, front.url, OPTIONS)
  await client.on('sse')
  await client.page.reload()
  await client.page.evaluate(drive, { module: '/rt/client.js', url: '/rt', options: OPTIONS })
  await client.on('sse')
  assert.deepEqual(sequence(await client.report()), ['sse'])
})
