// Tokens, in Chromium and against the real server: renewed ahead of their end on every transport, and refused for good.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'

import { openPage, startBrowser } from './browser.mjs'
import { drive, remote } from './driver.mjs'
import { startServer } from './processes.mjs'

const SECRET = 'of the tests, and of thirty-two bytes'

const CONFIG = `
[auth]
jwt_hs256 = "${SECRET}"

[[channel]]
pattern = "chat:{room}"
subscribe = "signed_in"
publish = "signed_in"
`

/** Seconds that a token lasts: the client asks for the next after three quarters. */
const LIFE = 4

let browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

function sign(claims, secret = SECRET) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

function token(life = LIFE) {
  const now = Math.floor(Date.now() / 1000)
  return sign({ sub: 'ann', iat: now, exp: now + life })
}

/** A page of the server's own, whose client asks the test for tokens. */
async function inPage(t, url, transport, tokens) {
  const page = await openPage(t, browser)
  let asked = 0
  await page.exposeFunction('askForToken', () => tokens((asked += 1)))
  // Whatever it answers, it is a page of this origin.
  await page.goto(`${url}/healthz`)
  await page.evaluate(() => {
    globalThis.tokens = () => globalThis.askForToken()
  })
  await page.evaluate(drive, { module: '/rt/client.js', url: '/rt', options: { transports: [transport] }, token: 'tokens' })
  return { ...remote(page), asked: () => asked }
}

for (const transport of ['ws', 'sse', 'poll']) {
  test(`over ${transport} a token is renewed ahead of its end, and nothing is lost or repeated`, async (t) => {
    const url = await startServer(t, CONFIG)
    const client = await inPage(t, url, transport, () => token())
    await client.on(transport)
    const sent = []
    for (let number = 1; client.asked() < 3; number += 1) {
      sent.push(number)
      await client.publish(number)
      // Some messages fall into each token's life, and not thousands.
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    sent.push('end')
    await client.publish('end')
    await client.until('end')
    assert.deepEqual(await client.seen(), sent)
    const { attempts, state } = await client.report()
    assert.equal(state.status, 'connected')
    // A WebSocket is renewed in place; no connection was lost to a token that had ended.
    assert.equal(attempts.length, 1, JSON.stringify(attempts))
  })

  test(`over ${transport} a token that is refused is asked for once more, and then it is over`, async (t) => {
    const url = await startServer(t, CONFIG)
    const client = await inPage(t, url, transport, () => sign({ sub: 'ann', exp: 4_102_444_800 }, 'of somebody else'))
    await client.page.waitForFunction(() => globalThis.driver.rt.state.status === 'closed')
    const { code } = await client.page.evaluate(() => ({ code: globalThis.driver.rt.state.error.code }))
    assert.equal(code, 'unauthorized')
    assert.ok(client.asked() <= 2, `it was asked for ${client.asked()} times`)
  })
}
