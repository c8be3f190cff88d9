"""Learning to speak: WaveNet and WaveRNN, in which a voice is a row of numbers (Chen et al. 2018)."""
