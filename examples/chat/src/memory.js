// What this browser remembers of its user: a name, rooms, and which messages this very window has sent.

import { cleanName } from './message.js'

/** Ids of own messages that are remembered. */
const SENT_KEPT = 500

const sent = new Set(parsed(recall('sessionStorage', 'sent')))
let current = recall('sessionStorage', 'name') ?? recall('localStorage', 'name') ?? inventedName()

/** The name to sign with. */
export function name() {
  return cleanName(current) || 'Anonymous'
}

/** Changes the name: this window keeps its own, the next one begins with the newest. */
export function rename(text) {
  current = text
  store('sessionStorage', 'name', text)
  store('localStorage', 'name', text)
}

/** A fresh id for a message of this window: 128 random bits, since whoever guesses one can take its place. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  sent.add(id)
  store('sessionStorage', 'sent', JSON.stringify([...sent].slice(-SENT_KEPT)))
  return id
}

/** Whether this window sent the message, before a reload too. */
export function hasSent(id) {
  return sent.has(id)
}

/** The rooms that were open, as they were stored. */
export function rememberedRooms() {
  return parsed(recall('localStorage', 'rooms'))
}

/** Stores which rooms are open. */
export function rememberRooms(names) {
  store('localStorage', 'rooms', JSON.stringify(names))
}

function inventedName() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)]
  const moods = ['Amber', 'Brisk', 'Calm', 'Clever', 'Misty', 'Quiet', 'Sunny', 'Swift']
  const animals = ['Badger', 'Crane', 'Falcon', 'Fox', 'Heron', 'Lynx', 'Marten', 'Otter', 'Robin', 'Wren']
  return `${pick(moods)} ${pick(animals)}`
}

// A list of texts; whatever else was stored is none.
function parsed(text) {
  try {
    const list = JSON.parse(text ?? '[]')
    return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : []
  } catch {
    return []
  }
}

// A browser may forbid to store anything: then nothing is remembered.
function recall(storage, key) {
  try {
    return globalThis[storage].getItem(`tricast-chat.${key}`)
  } catch {
    return null
  }
}

function store(storage, key, text) {
  try {
    globalThis[storage].setItem(`tricast-chat.${key}`, text)
  } catch {
    // Not stored, and nothing that the user could do about it.
  }
}
