// The chat: each room is a channel, all of them over one connection.

import { Tricast } from '/rt/client.js'
import { Log } from './log.js'
import { hasSent, name, newId, rememberRooms, rememberedRooms, rename } from './memory.js'
import { chosen, showStatus, transports } from './status.js'

const rt = new Tricast('/rt', { transports: transports(chosen()) })
const $ = (id) => document.getElementById(id)

// ---- rooms

const FIRST_ROOMS = ['lobby', 'rust', 'random']
const MOST_ROOMS = 24
const rooms = new Map()
let current = null

class Room {
  unread = 0
  #button

  constructor(name) {
    this.name = name
    this.isFixed = FIRST_ROOMS.includes(name)
    this.item = $('room-template').content.firstElementChild.cloneNode(true)
    this.#button = this.item.querySelector('button')
    this.#button.dataset.room = name
    this.#button.querySelector('.room-name').textContent = name
    this.#button.addEventListener('click', () => visit(name))
    this.log = new Log(name, (hasNewsBelow) => {
      if (this === current) $('pill').hidden = !hasNewsBelow
    })
    this.#read()
  }

  #read() {
    this.channel = rt.channel(`chat:${this.name}`, { from: 'last:50' })
    this.channel.on('subscribed', (event) => this.log.subscribed(event))
    this.channel.on('gap', (gap) => this.log.gap(gap))
    this.channel.on('unsubscribed', ({ code }) => this.log.notice(`The server closed this room: ${code ?? 'done'}`))
    this.channel.on('message', (message) => {
      const isNews = this.log.message(message, hasSent(message.id))
      if (isNews && (this !== current || document.hidden)) this.mark(this.unread + 1)
    })
  }

  /** Publishes a text, shown at once; its id makes a second try safe. */
  say(text) {
    const id = newId()
    const payload = { author: name(), text }
    const attempt = () =>
      this.channel.publish(payload, { id }).then(
        ({ position }) => this.log.acknowledged(id, position),
        (error) => this.log.failed(id, REASONS[error.code] ?? error.message),
      )
    this.log.sending(id, payload, attempt)
    attempt()
  }

  show() {
    current?.log.element.remove()
    current?.#button.removeAttribute('aria-current')
    current = this
    $('stage').prepend(this.log.element)
    this.log.shown()
    this.#button.setAttribute('aria-current', 'true')
    this.item.scrollIntoView({ block: 'nearest', inline: 'nearest' })
    $('title').textContent = this.name
    $('text').placeholder = `Message #${this.name}`
    $('leave').hidden = this.isFixed
    this.mark(0)
  }

  mark(unread) {
    this.unread = unread
    const count = this.item.querySelector('.unread')
    count.hidden = unread === 0
    count.textContent = unread > 99 ? '99+' : unread
    count.setAttribute('aria-label', `${unread} unread`)
    retitle()
  }

  leave() {
    this.channel.close()
    this.log.element.remove()
    this.item.remove()
    rooms.delete(this.name)
  }
}

const REASONS = {
  closed: 'the connection is closed',
  forbidden: 'the server refused it',
  outbox_full: 'too many messages are waiting',
  timeout: 'no answer came, it may have arrived',
  too_large: 'it is too long',
}

/** Opens a room that may be open already; null where there are too many, or the connection is closed for good. */
function open(name) {
  if (!rooms.has(name)) {
    if (rooms.size >= MOST_ROOMS || rt.state.status === 'closed') return null
    const room = new Room(name)
    rooms.set(name, room)
    $('rooms').append(room.item)
  }
  return rooms.get(name)
}

/** Shows a room and puts it into the address bar. */
function visit(name) {
  const room = open(name)
  if (!room) return
  if (wanted() !== name) history.pushState(null, '', `#${name}`)
  room.show()
  focusText()
}

/** A room's name out of what somebody typed, empty where nothing is left of it. */
function roomName(text) {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
  return plain.replace(/[^a-z0-9]+/g, '-').replace(/^-/, '').slice(0, 32).replace(/-$/, '')
}

/** The room that the address bar names. */
function wanted() {
  return roomName(location.hash) || roomName(new URLSearchParams(location.search).get('room') ?? '') || FIRST_ROOMS[0]
}

function retitle() {
  const unread = [...rooms.values()].reduce((sum, room) => sum + room.unread, 0)
  document.title = `${unread > 0 ? `(${unread}) ` : ''}#${current?.name ?? ''} · Tricast chat`
}

$('add').addEventListener('submit', (event) => {
  event.preventDefault()
  const name = roomName($('new-room').value)
  $('new-room').value = ''
  if (name === '') return
  visit(name)
  rememberRooms([...rooms.keys()])
})
$('leave').addEventListener('click', () => {
  current.leave()
  rememberRooms([...rooms.keys()])
  visit(FIRST_ROOMS[0])
})
addEventListener('popstate', () => open(wanted())?.show())
document.addEventListener('visibilitychange', () => document.hidden || current.mark(0))
$('pill').addEventListener('click', () => {
  current.log.scrollToEnd()
  focusText()
})

// ---- writing

const composer = $('composer')
const text = $('text')

composer.addEventListener('submit', (event) => {
  event.preventDefault()
  if (text.value.trim() === '') return
  current.say(text.value.trim())
  text.value = ''
  text.focus()
})
text.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  composer.requestSubmit()
})

// On a touch screen this would call up the keyboard.
function focusText() {
  if (matchMedia('(hover: hover)').matches) text.focus()
}

// ---- the start

showStatus(rt)
$('name').value = name()
$('name').addEventListener('input', () => rename($('name').value))
for (const name of [...FIRST_ROOMS, wanted(), ...rememberedRooms().map(roomName)]) if (name !== '') open(name)
;(open(wanted()) ?? open(FIRST_ROOMS[0])).show()
focusText()
