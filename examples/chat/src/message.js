// One message: what of a payload can be shown, and the element that shows it.
// Anybody may publish anything: all of it is taken as text, cut to a bearable length.

const LONGEST_TEXT = 2000
const LONGEST_NAME = 32

// Controls, and what turns the direction of the text around it.
const UNFIT_FOR_A_NAME = /[\p{Cc}\s\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/gu

/** What is shown of a payload: `{ author, text }`; `text` is null where there is none. */
export function readPayload(data) {
  const { author, text } = typeof data === 'object' && data !== null ? data : {}
  const isText = typeof text === 'string' && text.trim() !== ''
  return { author: cleanName(author) || 'Anonymous', text: isText ? cut(text.trim(), LONGEST_TEXT) : null }
}

/** A name on one line, empty where there is none. */
export function cleanName(name) {
  return typeof name === 'string' ? cut(name.replace(UNFIT_FOR_A_NAME, ' ').trim(), LONGEST_NAME) : ''
}

/** Fills a copy of the page's template; `dress` says the rest. */
export function createMessage({ author, text }, isOwn) {
  const element = document.getElementById('message-template').content.firstElementChild.cloneNode(true)
  element.classList.toggle('own', isOwn)
  element.style.setProperty('--hue', hue(author))
  part(element, 'avatar').textContent = [...author][0].toUpperCase()
  part(element, 'author').textContent = author
  part(element, 'text').textContent = text ?? 'A message that this page cannot show'
  part(element, 'text').classList.toggle('odd', text === null)
  return element
}

/** Shows when a message was written, and the state it is in. */
export function dress(element, { id, state, at, reason = '' }) {
  const date = new Date(at)
  const time = element.querySelector('time')
  time.dateTime = date.toISOString()
  time.title = date.toLocaleString()
  time.textContent = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  element.dataset.id = id
  element.dataset.state = state
  if (element.classList.contains('own')) part(element, 'fate').textContent = FATE[state]
  part(element, 'failure').hidden = state !== 'failed'
  part(element, 'reason').textContent = `Not sent: ${reason}.`
}

/** Shows how a message stands to the one before it: under the same name, on another day. */
export function relate(element, { continues, day }) {
  element.classList.toggle('continues', continues)
  part(element, 'day').hidden = day === null
  part(element, 'day').textContent = day ?? ''
}

/** The day of a message, if it is not that of the one before. */
export function newDay(at, before) {
  const day = new Date(at).toDateString()
  if (before !== undefined && new Date(before).toDateString() === day) return null
  const now = new Date()
  if (day === now.toDateString()) return 'Today'
  if (day === new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1).toDateString()) return 'Yesterday'
  return new Date(at).toLocaleDateString([], { weekday: 'long', day: 'numeric', month: 'long' })
}

const FATE = { sending: 'Sending…', sent: '✓', failed: '' }

function part(element, name) {
  return element.querySelector(`.${name}`)
}

// By characters, not by halves of them.
function cut(text, longest) {
  const short = [...text.slice(0, longest * 2)]
  return short.length > longest ? `${short.slice(0, longest - 1).join('')}…` : short.join('')
}

// The same name has the same colour everywhere (FNV-1a).
function hue(name) {
  let hash = 0x811c9dc5
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193)
  return (hash >>> 8) % 360
}
