// The dashboard: four channels over one connection, and one EventSource of the application's own.

import { Tricast } from '/rt/client.js'
import { onFrame } from './frame.js'
import { showJobs } from './jobs.js'
import { showNotices } from './notices.js'
import { count } from './numbers.js'
import { chosen, showStatus, transports } from './status.js'
import { Table } from './table.js'
import { showTiles } from './tiles.js'

const rt = new Tricast('/rt', { transports: transports(chosen()) })
const { visitor } = document.documentElement.dataset
showStatus(rt)

const products = rt.channel('products')
const table = new Table(document.getElementById('products'))
let came = 0
let painted = 0

const changed = onFrame((keys) => {
  painted += 1
  table.paint(keys, products.state)
})
products.on('change', ({ key }) => {
  came += 1
  changed(key)
})

showTiles('shop', rt.channel('metrics:shop'))
showTiles('machine', rt.channel('metrics:machine'))
showJobs(rt.channel(`jobs:${visitor}`), signedOut)
showNotices(signedOut)

const pace = document.getElementById('pace')
setInterval(() => {
  table.sort()
  pace.textContent = `${count(came)} changes/s · ${painted} paints/s`
  came = painted = 0
}, 1000)

// The session's cookie is good for nothing any more: what is the visitor's own stays away until there is a new one.
function signedOut() {
  const notice = document.getElementById('signed-out')
  notice.hidden = false
  notice.querySelector('button').onclick = () => location.reload()
}
