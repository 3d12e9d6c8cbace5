// What stands between a page and its server, and can be shut.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export class Gate {
  #server = createServer({ allowHalfOpen: true }, (socket) => this.#pass(socket))
  #sockets = new Set()
  #isOpen = true
  #upstream

  /** Opens a gate for the test `t` before the server at the URL `upstream`. */
  static async before(t, upstream) {
    const gate = new Gate(new URL(upstream))
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    t.after(() => {
      gate.shut()
      gate.#server.close()
    })
    return gate
  }

  constructor(upstream) {
    this.#upstream = upstream
  }

  /** Where it is. */
  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`
  }

  /** Cuts all connections, and every one that is tried. */
  shut() {
    this.#isOpen = false
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Leads to another server, at the URL `upstream`. */
  lead(upstream) {
    this.#upstream = new URL(upstream)
  }

  /** Lets connections pass again. */
  open() {
    this.#isOpen = true
  }

  #pass(socket) {
    const other = connect(this.#upstream.port, this.#upstream.hostname)
    for (const [one, another] of [[socket, other], [other, socket]]) {
      this.#sockets.add(one)
      one.on('error', () => another.destroy())
      one.on('close', () => this.#sockets.delete(one))
      one.pipe(another)
    }
    if (!this.#isOpen) this.shut()
  }
}
