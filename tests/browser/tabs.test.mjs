// Many tabs of one browser, and what happens to a single one: shared connections, reloads, caches, freezes, no network.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { startBrowser } from './browser.mjs'
import { drive, inPage, OPTIONS, remote, sequence, startPublisher } from './driver.mjs'
import { startChat, WATCHDOG, within } from './processes.mjs'
import { startUnruly } from './unruly.mjs'

let browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

/**
 * Tabs of one browser, the second after the first is `opened`: they share storage, locks and the six connections that
 * HTTP/1.1 has to a host.
 */
async function openTabs(t, url, count, options, opened = async () => {}) {
  const context = await browser.newContext()
  t.after(() => context.close())
  context.setDefaultTimeout(WATCHDOG)
  const tabs = []
  for (let n = 0; n < count; n += 1) {
    const page = await context.newPage()
    await page.goto(url)
    await page.evaluate(drive, { module: '/rt/client.js', url: '/rt', options })
    tabs.push(remote(page))
    if (n === 0) await opened(tabs[0])
  }
  return tabs
}

const SHARED = { ...OPTIONS, share: true }

for (const [count, transport, rules] of [[7, 'ws', {}], [10, 'sse', { ws: 'refuse' }], [10, 'poll', { ws: 'refuse', sse: 'refuse' }]]) {
  test(`${count} tabs share one connection over ${transport}, and each reads all`, async (t) => {
    const upstream = await startChat(t)
    const front = await startUnruly(t, upstream, rules)
    const publisher = startPublisher(t, upstream)
    const tabs = await openTabs(t, front.url, count, SHARED)
    const positions = await Promise.all(tabs.map((tab, n) => tab.publish(`from ${n}`)))
    assert.equal(new Set(positions).size, count)
    await publisher.end()
    const all = []
    for (const tab of tabs) {
      await tab.until('end')
      all.push(await tab.seen())
    }
    for (const seen of all) assert.deepEqual(seen, all[0])
    assert.equal(new Set(all[0]).size, all[0].length)
    if (transport !== 'poll') assert.equal(front.asked.filter((name) => name === transport).length, 1)
  })
}

test('when the tab that leads is closed, another takes over, and nobody misses or repeats anything', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream)
  const publisher = startPublisher(t, upstream)
  const tabs = await openTabs(t, front.url, 4, SHARED)
  for (const tab of tabs) await tab.until(1)
  await tabs[0].page.close()
  await tabs[1].publish('after')
  const rest = tabs.slice(1)
  for (const tab of rest) await tab.until('after')
  await publisher.end()
  const all = []
  for (const tab of rest) {
    await tab.until('end')
    all.push(await tab.seen())
  }
  for (const seen of all) assert.deepEqual(seen, all[0])
  assert.equal(new Set(all[0]).size, all[0].length)
})

/** Ends the process of a page, as a fault in it would; the page itself comes to say nothing. */
async function crash(page) {
  const session = await page.context().newCDPSession(page)
  const crashed = new Promise((resolve) => page.once('crash', resolve))
  // The answer would come from the process that this ends.
  session.send('Page.crash').catch(() => {})
  await within(crashed, 'the crash')
}

for (const [how, end] of [['closed', (page) => page.close()], ['crashed', crash]]) {
  test(`when the leader of ten tabs over sse is ${how} in the middle of a stream, each of the others reads exactly what was published`, async (t) => {
    const upstream = await startChat(t)
    const front = await startUnruly(t, upstream, { ws: 'refuse' })
    const [leader, ...rest] = await openTabs(t, front.url, 10, SHARED, async (first) => {
      await first.page.evaluate(async () => {
        while (!(await navigator.locks.query()).held[0]) await new Promise(requestAnimationFrame)
      })
    })
    const publisher = startPublisher(t, upstream)
    for (const tab of rest) await tab.until(10)
    const streams = () => front.asked.filter((name) => name === 'sse').length
    const before = streams()
    await end(leader.page)
    const next = async () => {
      while (streams() === before && !t.signal.aborted) await new Promise((resolve) => setImmediate(resolve))
    }
    await within(next(), 'a stream of the next leader')
    const sent = await publisher.end()
    for (const tab of rest) {
      await tab.until('end')
      assert.deepEqual(await tab.seen(), sent)
    }
    // A slow machine may have to try twice, but never does every tab try.
    assert.ok(streams() - before < rest.length)
  })
}

test('a client that shares leaves nothing behind when it is closed', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream)
  const [tab] = await openTabs(t, front.url, 1, SHARED)
  await tab.publish('one')
  await tab.until('one')
  const held = await tab.page.evaluate(async () => {
    const held = async (count) => {
      while ((await navigator.locks.query()).held.length !== count) await new Promise(requestAnimationFrame)
    }
    await held(1)
    globalThis.driver.rt.close()
    await held(0)
    return true
  })
  assert.ok(held)
})

test('publishes made offline arrive once each, in order', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream)
  const client = await inPage(t, browser, front.url, OPTIONS)
  await client.on('ws')
  await client.publish('before')
  const texts = Array.from({ length: 20 }, (_, n) => `number ${n}`)
  await client.page.evaluate((texts) => {
    globalThis.done = Promise.all(texts.slice(0, 5).map((text) => globalThis.driver.publish(text)))
  }, texts)
  await client.page.context().setOffline(true)
  await client.page.evaluate((texts) => {
    globalThis.rest = Promise.all(texts.slice(5).map((text) => globalThis.driver.publish(text)))
  }, texts)
  await client.page.context().setOffline(false)
  await within(client.page.evaluate(() => Promise.all([globalThis.done, globalThis.rest])), 'the acknowledgements')
  await client.until(texts.at(-1))
  assert.deepEqual(await client.seen(), ['before', ...texts])
})

test('a reload goes on after what was seen', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream)
  const publisher = startPublisher(t, upstream)
  const options = { ...OPTIONS, channel: { from: 'earliest', resume: true } }
  const client = await inPage(t, browser, front.url, options)
  await client.until(3)
  // Whatever the page sees until it goes belongs to the first half.
  const first = await client.page.evaluate(() => {
    const seen = [...globalThis.driver.seen()]
    globalThis.driver.rt.close()
    return seen
  })
  await client.page.reload()
  await client.page.evaluate(drive, { module: '/rt/client.js', url: '/rt', options })
  const sent = await publisher.end()
  await client.until('end')
  assert.deepEqual([...first, ...(await client.seen())], sent)
})

test('the back-forward cache brings a page back that goes on where it was', async (t) => {
  const cached = await startBrowser({ ignoreDefaultArgs: ['--disable-back-forward-cache'] })
  t.after(() => cached.close())
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream)
  const publisher = startPublisher(t, upstream)
  const client = await inPage(t, cached, front.url, OPTIONS)
  await client.until(3)
  await client.page.evaluate(() => {
    globalThis.addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted))
  })
  await client.page.goto(`${front.url}/elsewhere`)
  // A page out of the cache is not loaded.
  await client.page.goBack({ waitUntil: 'commit' })
  const sent = await publisher.end()
  await client.until('end')
  assert.equal(await client.page.evaluate(() => globalThis.persisted), true)
  assert.deepEqual(await client.seen(), sent)
})

test('a page that was frozen goes on where it was', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream)
  const publisher = startPublisher(t, upstream)
  const client = await inPage(t, browser, front.url, OPTIONS)
  await client.until(3)
  const devtools = await client.page.context().newCDPSession(client.page)
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' })
  await devtools.send('Page.setWebLifecycleState', { state: 'active' })
  const sent = await publisher.end()
  await client.until('end')
  assert.deepEqual(await client.seen(), sent)
  assert.deepEqual([...new Set(sequence(await client.report()))], ['ws'])
})

test('a client that is closed leaves no connection', async (t) => {
  const upstream = await startChat(t)
  const front = await startUnruly(t, upstream)
  const client = await inPage(t, browser, front.url, { ...OPTIONS, transports: ['ws'] })
  await client.on('ws')
  const upgraded = [...front.open].length
  await client.page.evaluate(() => globalThis.driver.rt.close())
  const gone = async () => {
    // A socket's end is told to nobody here.
    while (front.open.size > upgraded - 2) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await within(gone(), 'the end of the connection')
})
