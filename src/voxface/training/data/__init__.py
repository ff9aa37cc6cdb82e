"""What is trained on: pairs of voices and faces, corpora of speech, batches, augmentation."""
