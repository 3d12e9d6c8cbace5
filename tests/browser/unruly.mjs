// A proxy in front of the chat that lets pass what a test says, and serves an empty page of the same origin.

import { once } from 'node:events'
import { createServer, request as ask } from 'node:http'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'

const ASSETS = new URL('../../crates/tricast/assets/', import.meta.url)

/**
 * Starts the proxy for the test `t`, in front of `upstream`. What `rules` says of an endpoint (`ws`, `sse`, `poll`, `send`)
 * holds for the requests that begin afterwards: `pass`, `refuse`, `hang`, `mute` (open, and not a byte back), `{ cut: ms }`,
 * `{ late: ms }`; `POST` stands for every request of that method.
 */
export async function startUnruly(t, upstream, rules = {}) {
  const { hostname, port } = new URL(upstream)
  const open = new Set()
  const asked = []
  const front = createServer()
  const keep = (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    return socket
  }
  const ruleOf = ({ url, method }) => {
    const [, endpoint] = /^\/rt\/(\w+)(?:$|\?)/.exec(url) ?? []
    if (endpoint) asked.push(endpoint)
    return (method === 'POST' && rules.POST) || rules[endpoint] || 'pass'
  }
  // How one exchange goes, with the means that its kind has.
  const treat = async (rule, { pass, refuse, end }) => {
    if (rule === 'hang') return
    if (rule === 'refuse') return refuse()
    if (rule.late) await new Promise((resolve) => setTimeout(resolve, rule.late))
    pass(rule === 'mute')
    if (rule.cut) setTimeout(end, rule.cut)
  }

  front.on('connection', keep)
  front.on('request', async (request, response) => {
    const file = { '/rt/client.js': 'client.js', '/rt/share.js': 'share.js' }[request.url]
    if (file) return response.setHeader('content-type', 'text/javascript').end(await readFile(new URL(file, ASSETS)))
    if (!request.url.startsWith('/rt/')) return response.setHeader('content-type', 'text/html').end('<!doctype html><title>empty</title>')
    await treat(ruleOf(request), {
      refuse: () => response.writeHead(403, { 'content-type': 'text/html' }).end('<h1>Forbidden</h1>'),
      end: () => response.destroy(),
      pass: (isMute) => {
        const { method, url, headers } = request
        const onward = ask({ hostname, port, method, path: url, headers }, (answer) => {
          response.writeHead(answer.statusCode, answer.headers)
          response.flushHeaders()
          answer.on('error', () => response.destroy())
          if (isMute) answer.resume()
          else answer.pipe(response)
        })
        onward.on('error', () => response.destroy())
        response.on('close', () => onward.destroy())
        request.pipe(onward)
      },
    })
  })
  front.on('upgrade', (request, socket, head) => {
    keep(socket)
    void treat(ruleOf(request), {
      refuse: () => socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n'),
      end: () => socket.destroy(),
      pass: (isMute) => {
        const onward = keep(connect(port, hostname))
        const lines = Array.from({ length: request.rawHeaders.length / 2 }, (_, n) => request.rawHeaders.slice(2 * n, 2 * n + 2).join(': '))
        onward.write(`GET ${request.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
        onward.write(head)
        socket.pipe(onward)
        onward.on('data', (bytes) => {
          const text = bytes.toString('latin1')
          const end = text.indexOf('\r\n\r\n') + 4
          if (!isMute) socket.write(bytes)
          else if (text.startsWith('HTTP/1.1 101')) socket.write(bytes.subarray(0, end))
        })
        for (const [one, other] of [[socket, onward], [onward, socket]]) one.on('close', () => other.destroy())
      },
    })
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  const cut = () => open.forEach((socket) => socket.destroy())
  t.after(() => {
    cut()
    front.close()
  })
  return { url: `http://127.0.0.1:${front.address().port}`, rules, asked, cut, open }
}
