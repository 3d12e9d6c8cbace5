// The connection as the reader sees it: which transport, in what state, and the means to choose another.

const BEST_FIRST = ['ws', 'sse', 'poll']
const NAMES = { ws: 'WebSocket', sse: 'SSE', poll: 'Long-poll' }
const TEXTS = { idle: 'Idle', connecting: 'Connecting…', connected: 'Live · ', waiting: 'Offline', closed: 'Closed' }

/** The transports of a choice, best first; all of them where there is no such choice. */
export function transports(choice) {
  return BEST_FIRST.includes(choice) ? [choice] : BEST_FIRST
}

/** The choice that the address bar makes. */
export function chosen() {
  const choice = new URLSearchParams(location.search).get('transport')
  return BEST_FIRST.includes(choice) ? choice : 'auto'
}

/** Keeps badge, countdown and selector in step with the client. */
export function showStatus(rt) {
  const badge = document.querySelector('.badge')
  const byId = (id) => document.getElementById(id)
  const [status, over, countdown, again, select] = ['status', 'over', 'countdown', 'again', 'transport'].map(byId)
  let ticking

  function show({ status: now, transport, retryAt, error }) {
    badge.dataset.status = now
    badge.dataset.transport = transport ?? 'none'
    badge.title = error ? error.message : ''
    status.textContent = TEXTS[now]
    over.textContent = NAMES[transport] ?? ''
    again.hidden = now !== 'waiting'
    clearInterval(ticking)
    const tick = () => {
      const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000))
      countdown.textContent = now === 'waiting' ? ` · retry in ${seconds} s` : ''
    }
    tick()
    if (now === 'waiting') ticking = setInterval(tick, 250)
  }

  select.value = chosen()
  select.addEventListener('change', () => {
    const url = new URL(location.href)
    if (select.value === 'auto') url.searchParams.delete('transport')
    else url.searchParams.set('transport', select.value)
    history.replaceState(null, '', url)
    rt.setTransports(transports(select.value))
  })
  again.addEventListener('click', () => {
    // The button is about to disappear, and the focus with it.
    select.focus()
    rt.setTransports(transports(select.value))
  })
  rt.on('state', show)
  show(rt.state)
}
