// The chat's page as a person uses it. Elements are found by their data-testid.

import { openPage } from './browser.mjs'

export class ChatPage {
  #page
  #requests = new Set()

  /** Opens the chat at `url` for a person; without a `transport` the page chooses. */
  static async open(t, browser, url, { name, transport } = {}) {
    const chat = new ChatPage(await openPage(t, browser))
    await chat.#page.goto(transport === undefined ? `${url}/` : `${url}/?transport=${transport}`)
    await chat.connected(transport)
    if (name !== undefined) await chat.#page.getByTestId('name').fill(name)
    return chat
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

  /** The endpoints of the framework that were asked since the page was opened: `ws`, `sse`, `poll`, `send`. */
  get endpoints() {
    return [...this.#requests].filter((name) => ['ws', 'sse', 'poll', 'send'].includes(name)).sort()
  }

  /** Waits until the badge says connected, over the given transport if one is given; gives the transport. */
  async connected(transport) {
    const over = transport === undefined ? '' : `[data-transport="${transport}"]`
    const badge = this.#page.locator(`[data-testid="transport-badge"][data-status="connected"]${over}`)
    await badge.waitFor()
    return badge.getAttribute('data-transport')
  }

  /** Forces a transport with the selector (`auto` leaves the choice to the page again). */
  async force(transport) {
    await this.#page.getByTestId('transport-select').selectOption(transport)
  }

  /** Writes a message and sends it with Enter; does not wait for its confirmation. */
  async say(text) {
    const field = this.#page.getByTestId('composer').getByTestId('text')
    await field.fill(text)
    await field.press('Enter')
  }

  /** Waits until the message with this text is shown in this state; gives what is shown of it. */
  async sees(text, state = 'sent') {
    const message = this.#page.locator(`[data-testid="message"][data-state="${state}"]`)
    const one = message.filter({ has: this.#page.getByText(text, { exact: true }) })
    await one.first().waitFor()
    return read(one.first())
  }

  /** All messages as shown, in order. */
  async messages() {
    return this.#page.getByTestId('message').evaluateAll((elements) =>
      elements.map((element) => ({
        id: element.dataset.id,
        state: element.dataset.state,
        author: element.querySelector('.author')?.textContent.trim(),
        text: element.querySelector('.text')?.textContent.trim(),
        time: element.querySelector('time')?.textContent.trim(),
      })),
    )
  }

  /** The texts of all messages as shown, in order. */
  async texts() {
    return (await this.messages()).map((message) => message.text)
  }

  /** Loads the page anew. */
  async reload() {
    this.#requests.clear()
    await this.#page.reload()
    await this.connected()
  }
}

function endpoint(url) {
  return new URL(url).pathname.replace(/^\/rt\//, '')
}

async function read(message) {
  const inside = async (selector) => (await message.locator(selector).first().textContent()).trim()
  return { author: await inside('.author'), text: await inside('.text'), time: await inside('time') }
}
