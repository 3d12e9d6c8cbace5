// Notifications, by what every browser has: an EventSource on the application's own route.

import { ask } from './ask.js'

/** How many are shown. */
const MOST = 20

/** Shows what the visitor is told. `signedOut` is called when there is nothing to hear any more. */
export function showNotices(signedOut) {
  const source = new EventSource('/api/notifications')
  source.onmessage = ({ data }) => show(JSON.parse(data))
  source.addEventListener('order', ({ data }) => show(JSON.parse(data)))
  source.onerror = () => source.readyState === EventSource.CLOSED && signedOut()

  const list = document.getElementById('notices')
  const template = document.getElementById('notice-template')

  function show({ kind, title, text, at }) {
    const item = template.content.firstElementChild.cloneNode(true)
    item.dataset.kind = kind
    item.querySelector('strong').textContent = title
    item.querySelector('.soft').textContent = text
    const time = item.querySelector('time')
    time.dateTime = new Date(at).toISOString()
    time.textContent = clock.format(at)
    list.prepend(item)
    while (list.childElementCount > MOST) list.lastElementChild.remove()
    document.getElementById('no-notices').hidden = true
  }

  const failure = document.getElementById('notice-failure')
  const order = document.getElementById('order')
  order.addEventListener('click', () => ask(order, '/orders', undefined, failure))
  const form = document.getElementById('notify')
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const field = document.getElementById('text')
    if (await ask(form.querySelector('button'), '/notify', { text: field.value }, failure)) field.value = ''
  })
}

const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
