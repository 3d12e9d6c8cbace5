// The dashboard's page as a person uses it.

import { openPage } from './browser.mjs'

export class DashboardPage {
  #page
  #requests = new Set()

  /**
   * Opens the dashboard at `url`; without a `transport` the page chooses. `first` runs in the page before its own scripts;
   * other options are those of a browser's context.
   */
  static async open(t, browser, url, { transport, first, ...options } = {}) {
    const dashboard = new DashboardPage(await openPage(t, browser, options))
    if (first) await dashboard.#page.addInitScript(first)
    await dashboard.#page.goto(transport === undefined ? `${url}/` : `${url}/?transport=${transport}`)
    await dashboard.connected(transport)
    await dashboard.#page.locator('tbody tr').first().waitFor()
    return dashboard
  }

  constructor(page) {
    this.#page = page
    page.on('websocket', (socket) => this.#requests.add(endpoint(socket.url())))
    page.on('request', (request) => this.#requests.add(endpoint(request.url())))
  }

  /** The page of playwright-core. */
  get page() {
    return this.#page
  }

  /** The endpoints of the framework that were asked: `ws`, `sse`, `poll`, `send`. */
  get endpoints() {
    return [...this.#requests].filter((name) => ['ws', 'sse', 'poll', 'send'].includes(name)).sort()
  }

  /** The number of the visitor whose page this is. */
  visitor() {
    return this.#page.evaluate(() => Number(document.documentElement.dataset.visitor))
  }

  /** Waits until the badge says so, over the given transport if one is given; gives the transport. */
  async connected(transport) {
    const over = transport === undefined ? '' : `[data-transport="${transport}"]`
    const badge = this.#page.locator(`[data-testid="transport-badge"][data-status="connected"]${over}`)
    await badge.waitFor()
    return badge.getAttribute('data-transport')
  }

  /** Waits until the badge says that the connection is gone. */
  disconnected() {
    return this.#page.locator('[data-testid="transport-badge"]:not([data-status="connected"])').waitFor()
  }

  /** Waits until the rows have changed, so many times. */
  changes(count) {
    return this.#page.evaluate(
      (count) =>
        new Promise((resolve) => {
          let seen = 0
          const observer = new MutationObserver((records) => {
            seen += records.length
            if (seen < count) return
            observer.disconnect()
            resolve(seen)
          })
          observer.observe(document.getElementById('rows'), { subtree: true, characterData: true })
        }),
      count,
    )
  }

  /** The texts of all notifications as shown, the newest first. */
  notices() {
    return this.#page.getByTestId('notice').locator('.soft').allTextContents()
  }

  /** Waits until a notification with this text is shown. */
  notice(text) {
    return this.#page.getByTestId('notice').getByText(text, { exact: true }).waitFor()
  }
}

function endpoint(url) {
  return new URL(url).pathname.replace(/^\/rt\//, '')
}
