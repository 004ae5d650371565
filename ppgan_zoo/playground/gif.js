// Writes films as GIF (version 89a) that go on for ever.
"use strict";

// 256 greys, or 6 x 7 x 6 colours, as three bytes each, and the place of a colour in them.
function palette(isGrey) {
  const bytes = new Uint8Array(3 * 256);
  if (isGrey) {
    for (let i = 0; i < 256; i++) bytes.fill(i, 3 * i, 3 * i + 3);
    return { bytes, place: (red) => red };
  }
  const step = (value, levels) => Math.round((value * (levels - 1)) / 255);
  for (let i = 0; i < 252; i++) {
    bytes[3 * i] = Math.round((Math.floor(i / 42) * 255) / 5);
    bytes[3 * i + 1] = Math.round(((Math.floor(i / 6) % 7) * 255) / 6);
    bytes[3 * i + 2] = Math.round(((i % 6) * 255) / 5);
  }
  return { bytes, place: (red, green, blue) => step(red, 6) * 42 + step(green, 7) * 6 + step(blue, 6) };
}

// LZW with codes of 9 to 12 bits, the lowest bit first; the table begins anew when it is full.
function compressed(indices) {
  const bytes = [];
  let bits = 0, held = 0;
  const write = (code, width) => {
    held |= code << bits;
    for (bits += width; bits >= 8; bits -= 8, held >>>= 8) bytes.push(held & 255);
  };
  const CLEAR = 256, END = 257;
  let table = new Map(), width = 9, next = 258;
  write(CLEAR, width);
  let prefix = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const key = prefix * 256 + indices[i];
    if (table.has(key)) {
      prefix = table.get(key);
      continue;
    }
    write(prefix, width);
    if (next === 4096) {
      write(CLEAR, width);
      [table, width, next] = [new Map(), 9, 258];
    } else {
      table.set(key, next);
      if (next++ === 1 << width) width += 1;
    }
    prefix = indices[i];
  }
  write(prefix, width);
  write(END, width);
  if (bits > 0) bytes.push(held & 255);
  return bytes;
}

// Frames of one size, each RGBA bytes, to the bytes of a GIF; `delay` is in hundredths of a second.
function gif(frames, width, height, delay) {
  const isGrey = frames.every((pixels) => {
    for (let i = 0; i < pixels.length; i += 4) {
      if (pixels[i] !== pixels[i + 1] || pixels[i] !== pixels[i + 2]) return false;
    }
    return true;
  });
  const { bytes: colours, place } = palette(isGrey);
  const two = (number) => [number & 255, number >> 8];
  const letters = (text) => Array.from(text, (letter) => letter.charCodeAt(0));
  const parts = [
    letters("GIF89a"), two(width), two(height), [0xf7, 0, 0], colours,
    [0x21, 0xff, 11], letters("NETSCAPE2.0"), [3, 1, 0, 0, 0],
  ];
  for (const pixels of frames) {
    const indices = new Uint8Array(width * height);
    for (let i = 0; i < indices.length; i++) {
      indices[i] = place(pixels[4 * i], pixels[4 * i + 1], pixels[4 * i + 2]);
    }
    parts.push([0x21, 0xf9, 4, 0], two(delay), [0, 0], [0x2c, 0, 0, 0, 0], two(width), two(height), [0, 8]);
    const data = compressed(indices);
    for (let start = 0; start < data.length; start += 255) {
      const block = data.slice(start, start + 255);
      parts.push([block.length], block);
    }
    parts.push([0]);
  }
  parts.push([0x3b]);
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
