// Long jobs: a request starts one, a channel tells how far it is.

import { ask } from './ask.js'
import { onFrame, write } from './frame.js'
import { percent } from './numbers.js'

/** Shows the jobs of the visitor's channel. `signedOut` is called when it is the visitor's no more. */
export function showJobs(channel, signedOut) {
  const list = document.getElementById('jobs')
  const none = document.getElementById('no-jobs')
  const start = document.getElementById('start')
  const template = document.getElementById('job-template')
  const items = new Map()

  const changed = onFrame((keys) => {
    for (const key of keys) {
      const message = channel.state.get(key)
      if (message) paint(items.get(key) ?? add(key), message.data)
      else remove(key)
    }
    none.hidden = items.size > 0
  })
  channel.on('change', ({ key }) => changed(key))
  channel.on('unsubscribed', signedOut)
  start.addEventListener('click', () => ask(start, '/jobs', undefined, document.getElementById('job-failure')))

  function add(key) {
    const item = template.content.firstElementChild.cloneNode(true)
    item.dataset.key = key
    items.set(key, item)
    list.prepend(item)
    return item
  }

  function remove(key) {
    items.get(key)?.remove()
    items.delete(key)
  }
}

function paint(item, { title, done, of, text }) {
  const isDone = done === of
  item.dataset.state = isDone ? 'done' : 'running'
  write(item.querySelector('.job-title'), title)
  write(item.querySelector('.job-percent'), isDone ? 'Done' : percent((100 * done) / of))
  write(item.querySelector('.job-text'), text)
  const progress = item.querySelector('progress')
  progress.max = of
  progress.value = done
  progress.setAttribute('aria-label', title)
}
