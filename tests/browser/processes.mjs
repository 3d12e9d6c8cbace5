// Starts the programs that the tests need, each on a free loopback port, and ends them by their ids.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** The longest that a test waits for what should come at once, in ms. */
export const WATCHDOG = 30_000

const running = new Set()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** Starts the chat for the test `t` and gives its address, such as `http://127.0.0.1:4000`. */
export function startChat(t) {
  return startExample(t, 'chat')
}

/** Starts the dashboard for the test `t` and gives its address. */
export function startDashboard(t) {
  return startExample(t, 'dashboard')
}

/** Starts the program `tricast serve` with the configuration `toml` for the test `t`, and gives its address. */
export async function startServer(t, toml) {
  const folder = await mkdtemp(join(tmpdir(), 'tricast-serve-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const config = join(folder, 'tricast.toml')
  await writeFile(config, toml)
  return startExample(t, 'tricast', ['serve', '--config', config])
}

async function startExample(t, name, before = []) {
  const built = fileURLToPath(new URL(`../../target/debug/${name}`, import.meta.url))
  const program = process.env[name.toUpperCase()] ?? built
  if (!existsSync(program)) {
    throw new Error(`${program} is missing: build it with cargo build --workspace --all-targets`)
  }
  const child = start(t, program, [...before, '--listen', '127.0.0.1:0'], {
    env: { RUST_LOG: 'warn', ...process.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const address = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const [, url] = /^listening on (http:\S+)$/.exec(line) ?? []
      if (url !== undefined) return url
    }
    throw new Error(`${program} ended without having printed its address`)
  })()
  return within(address, `the address of ${program}`)
}

/**
 * Starts nginx for the test `t`, in front of the application at the URL `upstream`, and gives its address.
 * `preset` names a file of crates/testkit/nginx: plain, no_upgrade, poll_only, proper.
 */
export async function startNginx(t, preset, upstream) {
  const [base, locations] = await Promise.all([configuration('base'), configuration(preset)])
  const folder = await mkdtemp(join(tmpdir(), 'tricast-nginx-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const program = find('nginx', ['/usr/sbin', '/usr/local/sbin'])
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const port = await freePort()
    const text = base
      .replaceAll('@LOCATIONS@', locations)
      .replaceAll('@LISTEN@', `127.0.0.1:${port}`)
      .replaceAll('@UPSTREAM@', new URL(upstream).host)
    await writeFile(join(folder, 'nginx.conf'), text)
    const child = start(t, program, ['-p', folder, '-e', 'error.log', '-c', 'nginx.conf'], { stdio: 'ignore' })
    if (await within(accepts(child, port), 'nginx')) return `http://127.0.0.1:${port}`
    const log = await readFile(join(folder, 'error.log'), 'utf8')
    // Between our choice of a free port and nginx's bind somebody may have taken it.
    if (!log.includes('Address already in use')) throw new Error(`nginx ended at once: ${log}`)
  }
  throw new Error('nginx found no free port')
}

/** The path of a program in PATH or in one of `folders`. */
export function find(name, folders = []) {
  const candidates = [...(process.env.PATH ?? '').split(delimiter), ...folders].map((folder) => join(folder, name))
  const found = candidates.find((path) => existsSync(path))
  if (found === undefined) throw new Error(`${name} is not installed: run cargo xtask test --only tools`)
  return found
}

/** Waits for a promise, at most for the watchdog's time. */
export async function within(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing came within ${WATCHDOG} ms`)), WATCHDOG)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function start(t, program, args, options) {
  const child = spawn(program, args, options)
  running.add(child)
  const ended = once(child, 'close').finally(() => running.delete(child))
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return child
}

function configuration(name) {
  return readFile(new URL(`../../crates/testkit/nginx/${name}.conf`, import.meta.url), 'utf8')
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

// True once the port accepts connections, false if the program has ended.
async function accepts(child, port) {
  while (child.exitCode === null) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(() => true, () => false)
    socket.destroy()
    if (isOpen) return true
    // nginx tells nobody when it has bound its port.
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return false
}
