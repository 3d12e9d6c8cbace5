// Two people chat in two browsers, over each transport and while it changes under their hands.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { startBrowser } from './browser.mjs'
import { ChatPage } from './chat-page.mjs'
import { startChat } from './processes.mjs'

let browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

// What each transport asks the server for, and nothing else.
const ENDPOINTS = { ws: ['ws'], sse: ['send', 'sse'], poll: ['poll', 'send'] }

for (const [transport, endpoints] of Object.entries(ENDPOINTS)) {
  test(`two pages chat over ${transport}`, async (t) => {
    const url = await startChat(t)
    const alice = await ChatPage.open(t, browser, url, { name: 'Alice', transport })
    const bob = await ChatPage.open(t, browser, url, { name: 'Bob', transport })

    await alice.say('hello, Bob')
    const heard = await bob.sees('hello, Bob')
    assert.equal(heard.author, 'Alice')
    assert.notEqual(heard.time, '')
    await bob.say('hello, Alice')
    assert.equal((await alice.sees('hello, Alice')).author, 'Bob')

    for (const page of [alice, bob]) {
      await page.sees('hello, Bob')
      await page.sees('hello, Alice')
      assert.deepEqual(await page.texts(), ['hello, Bob', 'hello, Alice'])
      assert.deepEqual(page.endpoints, endpoints)
    }
  })
}

test('a reload shows the last 50 messages again', async (t) => {
  const url = await startChat(t)
  const alice = await ChatPage.open(t, browser, url, { name: 'Alice' })
  const texts = Array.from({ length: 60 }, (_, index) => `number ${index + 1}`)
  for (const text of texts) await alice.say(text)
  for (const text of texts) await alice.sees(text)

  await alice.reload()
  await alice.sees('number 60')
  assert.deepEqual(await alice.texts(), texts.slice(-50))
})

test('changing transports in mid-chat loses and repeats nothing', async (t) => {
  const url = await startChat(t)
  const alice = await ChatPage.open(t, browser, url, { name: 'Alice', transport: 'ws' })
  const bob = await ChatPage.open(t, browser, url, { name: 'Bob', transport: 'ws' })
  const texts = []
  const say = async (count) => {
    for (let index = 0; index < count; index += 1) {
      texts.push(`number ${texts.length + 1}`)
      await alice.say(texts.at(-1))
    }
  }

  for (const transport of ['sse', 'poll', 'ws', 'poll', 'sse', 'ws']) {
    await say(3)
    await bob.force(transport)
    await say(3)
    await bob.connected(transport)
    await say(1)
    await alice.force(transport)
    await say(1)
    await alice.connected(transport)
  }
  await alice.force('auto')
  await say(1)

  for (const page of [alice, bob]) {
    await page.sees(texts.at(-1))
    const messages = await page.messages()
    assert.deepEqual(messages.map((message) => message.text), texts)
    assert.deepEqual([...new Set(messages.map((message) => message.state))], ['sent'])
    assert.equal(new Set(messages.map((message) => message.id)).size, texts.length)
  }
})

test('another room shows only its own messages', async (t) => {
  const url = await startChat(t)
  const alice = await ChatPage.open(t, browser, url, { name: 'Alice' })
  await alice.say('in the first room')
  await alice.sees('in the first room')

  const rooms = alice.page.getByTestId('room')
  const other = rooms.nth(1)
  await other.click()
  await alice.say('in the second room')
  await alice.sees('in the second room')
  assert.deepEqual(await alice.texts(), ['in the second room'])

  await rooms.first().click()
  await alice.sees('in the first room')
  assert.deepEqual(await alice.texts(), ['in the first room'])
})

test('a plain EventSource receives the payloads with their positions', async (t) => {
  const url = await startChat(t)
  const alice = await ChatPage.open(t, browser, url, { name: 'Alice' })
  const bob = await ChatPage.open(t, browser, url, { name: 'Bob' })
  await bob.page.evaluate(() => {
    const source = new EventSource('/rt/sse?channel=chat:lobby')
    globalThis.received = new Promise((resolve) => {
      source.onmessage = ({ data, lastEventId }) => resolve({ data: JSON.parse(data), lastEventId })
    })
    return new Promise((resolve) => {
      source.onopen = resolve
    })
  })

  await alice.say('by the standard')
  const { data, lastEventId } = await bob.page.evaluate(() => globalThis.received)
  assert.ok(Object.values(data).includes('by the standard'), JSON.stringify(data))
  assert.match(lastEventId, /^[0-9a-z]{12,16}-1$/)
})
