"""Classify pictures over HTTP: `uvicorn app:app`; curl -F picture=@photo.jpg localhost:8000."""

from fastapi import FastAPI, HTTPException, UploadFile

from tinysight import Classifier, ImageError

app = FastAPI(title="tinysight")
classifier = Classifier.load()  # once; it serves any number of threads


@app.post("/")
def classify(picture: UploadFile, top_k: int = 1) -> dict[str, object]:
    """The most probable classes of a picture, the best first."""
    try:
        answer = classifier.classify(picture.file.read(), top_k=max(top_k, 1))
    except ImageError as error:  # damaged, too large, or no picture: the sender's mistake
        raise HTTPException(status_code=422, detail=str(error)) from None
    return {"label": answer.label, "probability": answer.probability, "top": answer.top}
