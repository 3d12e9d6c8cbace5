// The page finds its way through what an nginx in front of the chat lets pass.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { startBrowser } from './browser.mjs'
import { ChatPage } from './chat-page.mjs'
import { startChat, startNginx } from './processes.mjs'

let browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

const CASES = [
  ['proper', 'ws', 'lets everything pass'],
  ['no_upgrade', 'sse', 'refuses the upgrade'],
  ['poll_only', 'poll', 'refuses the upgrade and event streams'],
]

for (const [preset, transport, what] of CASES) {
  test(`two pages chat over ${transport} while nginx ${what}`, async (t) => {
    const url = await startNginx(t, preset, await startChat(t))
    const alice = await ChatPage.open(t, browser, url, { name: 'Alice' })
    const bob = await ChatPage.open(t, browser, url, { name: 'Bob' })
    assert.deepEqual([await alice.connected(), await bob.connected()], [transport, transport])

    await alice.say('hello, Bob')
    assert.equal((await bob.sees('hello, Bob')).author, 'Alice')
    await bob.say('hello, Alice')
    assert.equal((await alice.sees('hello, Alice')).author, 'Bob')
    assert.deepEqual(await alice.texts(), ['hello, Bob', 'hello, Alice'])
  })
}

// A bare proxy_pass hides the page's own address from the server: its sends look foreign, and are refused in the open.
for (const transport of ['sse', 'poll']) {
  test(`behind a bare proxy_pass a page reads over ${transport} and its send is refused`, async (t) => {
    const direct = await startChat(t)
    const alice = await ChatPage.open(t, browser, direct, { name: 'Alice' })
    const bob = await ChatPage.open(t, browser, await startNginx(t, 'plain', direct), { name: 'Bob', transport })
    await alice.say('can you hear me?')
    await bob.sees('can you hear me?')

    const refusal = bob.page.waitForResponse((response) => response.url().endsWith('/rt/send'))
    await bob.say('yes')
    const response = await refusal
    assert.equal(response.status(), 403)
    assert.match(await response.text(), /"code":"forbidden"/)
    await bob.sees('yes', 'failed')
    assert.deepEqual(await alice.texts(), ['can you hear me?'])
  })
}
