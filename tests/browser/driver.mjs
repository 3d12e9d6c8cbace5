// A client that reads `chat:x`, in a page or in this process, and somebody who publishes there.

import assert from 'node:assert/strict'

import { openPage } from './browser.mjs'
import { within } from './processes.mjs'

/** The client in a page, as one in this process looks. */
export async function inPage(t, browser, url, options) {
  const page = await openPage(t, browser)
  await page.goto(url)
  await page.evaluate(drive, { module: '/rt/client.js', url: '/rt', options })
  return remote(page)
}

/** What a test asks of a client in a page. */
export function remote(page) {
  const call = (name, ...args) => page.evaluate(([name, args]) => globalThis.driver[name](...args), [name, args])
  return {
    page,
    report: () => call('report'),
    seen: () => call('seen'),
    publish: (data) => call('publish', data),
    until: (text) => within(call('until', text), `the message ${text}`),
    on: (transport) => within(call('on', transport), `a connection over ${transport}`),
    fire: (name) => call('fire', name),
  }
}

/** Runs in the page: reads `chat:x` from its start, and keeps what it sees. */
export async function drive({ module, url, options, token }) {
  const { Tricast } = await import(module)
  const { channel: how = { from: 'earliest' }, ...rest } = options
  // Functions do not come into a page from outside: this one is there already, by its name.
  if (token) rest.token = globalThis[token]
  const rt = new Tricast(url, rest)
  const channel = rt.channel('chat:x', how)
  const seen = []
  const waiting = new Set()
  const settle = () => waiting.forEach((check) => check())
  channel.on('message', ({ data }) => seen.push(data))
  channel.on('message', settle)
  channel.on('gap', ({ reason }) => seen.push(`gap ${reason}`))
  rt.on('state', settle)
  const wait = (condition) =>
    new Promise((resolve) => {
      const check = () => {
        if (!condition()) return
        waiting.delete(check)
        resolve()
      }
      waiting.add(check)
      check()
    })
  globalThis.driver = {
    rt,
    report: () => rt.report(),
    seen: () => seen,
    publish: async (data) => (await channel.publish(data)).position,
    until: (text) => wait(() => seen.includes(text)),
    on: (transport) => wait(() => rt.state.transport === transport),
    fire: (name) => void globalThis.dispatchEvent(new Event(name)),
  }
}

/** The client in this process. */
export async function inNode(t, url, options) {
  await drive({ module: new URL('../../client-js/dist/tricast.js', import.meta.url).href, url: `${url}/rt`, options })
  const { driver } = globalThis
  t.after(() => driver.rt.close())
  return { ...driver, until: (text) => within(driver.until(text), `the message ${text}`), on: (transport) => within(driver.on(transport), `a connection over ${transport}`) }
}

/** Publishes numbers straight to the server, in order, until stopped; gives what it published. */
export function startPublisher(t, upstream) {
  const sent = []
  let stopped = false
  const publish = async (data) => {
    const command = { type: 'publish', channel: 'chat:x', data }
    const response = await fetch(`${upstream}/rt/send`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(command) })
    assert.equal(response.status, 200)
    sent.push(data)
  }
  const running = (async () => {
    for (let n = 1; !stopped; n += 1) {
      await publish(n)
      // So that messages come before, during and after what happens to the connection; the chat keeps 200 of them.
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })()
  const stop = async () => {
    stopped = true
    await running
  }
  t.after(stop)
  return {
    async end() {
      await stop()
      await publish('end')
      return sent
    },
  }
}

/** The transports as they were tried, and whether each was proven. */
export const sequence = ({ attempts }) => attempts.map(({ transport, proven }) => (proven === undefined ? `${transport}?` : transport))

// Short, so that the tests are; a healthy loopback connection takes a few milliseconds.
export const OPTIONS = { connectTimeout: 1000, backoff: { base: 100, cap: 500 } }
