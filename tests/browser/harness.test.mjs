// What the other tests stand on: Chromium starts, and each nginx lets pass what its name says.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'

import { openPage, startBrowser } from './browser.mjs'
import { startNginx } from './processes.mjs'

let browser
before(async () => {
  browser = await startBrowser()
})
after(() => browser?.close())

// Answers each request with its path.
async function startMirror(t) {
  const server = createServer((request, response) => response.end(`<p>${request.url}</p>`))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${server.address().port}`
}

const STATUSES = {
  plain: { '/rt/ws': 200, '/rt/sse': 200, '/rt/poll': 200 },
  no_upgrade: { '/rt/ws': 403, '/rt/sse': 200, '/rt/poll': 200 },
  poll_only: { '/rt/ws': 403, '/rt/sse': 403, '/rt/poll': 200 },
  proper: { '/rt/ws': 200, '/rt/sse': 200, '/rt/poll': 200 },
}

for (const [preset, statuses] of Object.entries(STATUSES)) {
  test(`Chromium shows a page through nginx, preset ${preset}`, async (t) => {
    const url = await startNginx(t, preset, await startMirror(t))
    const page = await openPage(t, browser)
    await page.goto(`${url}/hello`)
    assert.equal(await page.locator('p').textContent(), '/hello')

    const seen = await page.evaluate(async (paths) => {
      const answers = await Promise.all(paths.map((path) => fetch(path)))
      return Object.fromEntries(answers.map((answer, index) => [paths[index], answer.status]))
    }, Object.keys(statuses))
    assert.deepEqual(seen, statuses)
  })
}
