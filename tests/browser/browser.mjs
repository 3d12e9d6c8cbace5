// Debian's Chromium, driven through playwright-core.

import { chromium } from 'playwright-core'

import { find, WATCHDOG } from './processes.mjs'

// Without these Chromium looks up hosts of its own at each start; a sandbox cannot be had as root.
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts a browser with a fresh profile. Who starts it closes it. */
export function startBrowser(options = {}) {
  return chromium.launch({ executablePath: find('chromium'), args: FLAGS, timeout: WATCHDOG, ...options })
}

/** Opens a page that shares nothing with others, closed at the end of the test `t`. Its errors are printed. */
export async function openPage(t, browser) {
  const context = await browser.newContext()
  t.after(() => context.close())
  context.setDefaultTimeout(WATCHDOG)
  const page = await context.newPage()
  page.on('pageerror', (error) => t.diagnostic(`error in the page: ${error.message}`))
  return page
}
