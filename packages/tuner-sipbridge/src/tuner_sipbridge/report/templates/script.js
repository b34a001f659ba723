for (const section of document.querySelectorAll("section.call")) {
  const audio = section.querySelector("audio");
  const svg = section.querySelector("svg.drawing");
  if (!audio || !svg) continue;
  const frame = svg.parentElement;
  const head = svg.querySelector(".playhead");
  const perSecond = Number(svg.dataset.pxPerS);
  const place = () => {
    const x = audio.currentTime * perSecond;
    head.setAttribute("transform", `translate(${x} 0)`);
    if (!audio.paused && (x < frame.scrollLeft || x > frame.scrollLeft + frame.clientWidth - 60)) {
      frame.scrollLeft = x - 80;
    }
  };
  const follow = () => { place(); if (!audio.paused) requestAnimationFrame(follow); };
  const seek = (seconds, play) => {
    audio.currentTime = Math.max(0, seconds);
    if (play) audio.play();
    place();
  };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    follow();
  });
  audio.addEventListener("seeked", place);
  svg.addEventListener("click", (event) => {
    seek((event.clientX - svg.getBoundingClientRect().left) / perSecond, true);
  });
  frame.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); seek(audio.currentTime + step, false); }
    if (event.key === " ") { event.preventDefault(); audio.paused ? audio.play() : audio.pause(); }
  });
  for (const button of section.querySelectorAll("button.at")) {
    button.addEventListener("click", () => seek(Number(button.dataset.at), true));
  }
}
